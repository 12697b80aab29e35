"""Numbers, names and arrays as C text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

C_TYPES = {
    **{name: f"{name}_t" for name in ("int8", "uint8", "int16", "uint16", "int32")},
    "float32": "float",
}
WIDTH = 116


def identifier(name: str) -> str:
    """Return ``name`` as the end of a C identifier: letters, digits and underscores."""
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "unnamed"


def comment(text: str) -> str:
    """Return text that cannot end a C comment or leave its line."""
    return " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *").encode("ascii", "replace").decode()


def comment_lines(text: str) -> str:
    """Return :func:`comment` in lines: what stands after the ``/* `` of a comment."""
    return textwrap.fill(comment(text), WIDTH, subsequent_indent=" * ", break_long_words=False, break_on_hyphens=False)


def string(text: str) -> str:
    """Return a C string literal of any text."""
    escaped = "".join(
        chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode("utf-8", "replace")
    )
    return f'"{escaped}"'


def float32(x: float) -> str:
    """Return a float literal that reads back as the same float32."""
    digits = f"{float(np.float32(x)):.9g}"
    return f"{digits if any(c in digits for c in '.e') else digits + '.0'}F"


def integer(x: int) -> str:
    """Return an int32 literal; the smallest one has no literal of its own."""
    return str(x) if x > -(2**31) else "(-2147483647 - 1)"


def filled(items: Iterable[str], indent: str = "    ") -> str:
    """Return items separated by commas, in lines."""
    text = ", ".join(items)
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def array(name: str, data: NDArray[Any]) -> str:
    """Return the definition of a constant array of integers or float32."""
    written = float32 if data.dtype == np.float32 else integer
    return definition(
        f"static const {C_TYPES[data.dtype.name]} {name}[{data.size}]", (written(x) for x in data.ravel().tolist())
    )


def definition(declaration: str, items: Iterable[str]) -> str:
    """Return ``declaration`` initialised with items."""
    return f"{declaration} = {{\n{filled(items)},\n}};\n"
