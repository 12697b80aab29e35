"""Put the tables of all pages in again, from the figures that the tools left as JSON.

    python tools/result_page.py

A table stands between ``<!-- TOOL: FUNCTION(FILE.json, ...) -->`` and ``<!-- end of table -->``: what the function of
that tool returns for what the files in ``docs/results`` say. The words around it stay.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from edgehar.errors import UsageError
from edgehar.files import write_atomic

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "results"
END = "<!-- end of table -->\n"
TABLE = re.compile(r"(<!-- (tools/\S+\.py): (\w+)\(([^)\n]*)\) -->\n)(.*?)" + re.escape(END), re.DOTALL)


def pages() -> list[Path]:
    """Return the pages that may have tables of figures."""
    return [ROOT / "README.md", ROOT / "docs" / "results.md", *sorted(FIGURES.glob("*.md"))]


def rewritten(text: str) -> str:
    """Return a page with each of its tables made anew.

    Raises:
        UsageError: a marker names a tool, function or file that is not there.
    """
    return TABLE.sub(lambda found: found[1] + _table(found[2], found[3], found[4]) + END, text)


def _table(tool: str, function: str, files: str) -> str:
    try:
        make = getattr(_module(ROOT / tool), function)
        found: list[Any] = [json.loads((FIGURES / name.strip()).read_text("utf-8")) for name in files.split(",")]
    except (OSError, AttributeError, ValueError) as error:
        raise UsageError(f"the table {tool}: {function}({files}) cannot be made: {error}") from None
    return str(make(*found))


def _module(path: Path) -> ModuleType:
    """Import a tool as it is when it runs, with its folder and ``tools`` to import from."""
    for folder in (ROOT / "tools", path.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    name = "_".join(path.relative_to(ROOT).with_suffix("").parts)
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise OSError(f"{path} is no module")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def main() -> int:
    for page in pages():
        text = page.read_text("utf-8")
        try:
            new = rewritten(text)
        except UsageError as error:
            print(f"{page.relative_to(ROOT)}: {error}", file=sys.stderr)
            return error.exit_code
        if new != text:
            write_atomic(page, new.encode())
            print(page.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
