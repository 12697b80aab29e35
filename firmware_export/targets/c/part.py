"""A part of ``har.c``: the statements, what they remember in ``har_context``, and the tables they read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from firmware_export.targets.c.text import array

SCALARS: Mapping[str, DTypeLike] = {
    "float": np.float32,
    "int8_t": np.int8,
    "uint8_t": np.uint8,
    "int16_t": np.int16,
    "int32_t": np.int32,
    "uint32_t": np.uint32,
    "int64_t": np.int64,
    "uint64_t": np.uint64,
}


@dataclass(frozen=True)
class Member:
    """A member of a C struct, ``kind name[shape];``.

    Attributes:
        kind: a key of ``SCALARS``, or a C type whose layout is ``dtype``.
        name: in C.
        shape: of the array; empty for one number.
        note: what it is.
        dtype: layout of a ``kind`` that is not in ``SCALARS``.
    """

    kind: str
    name: str
    shape: tuple[int, ...] = ()
    note: str = ""
    dtype: DTypeLike | None = None

    @property
    def layout(self) -> tuple[str, DTypeLike | None, tuple[int, ...]]:
        """The field of an aligned numpy type that has the struct's layout."""
        return self.name, SCALARS.get(self.kind, self.dtype), self.shape

    @property
    def text(self) -> str:
        """The declaration."""
        sizes = "".join(f"[{n}]" for n in self.shape)
        return f"{self.kind} {self.name}{sizes};" + (f" /* {self.note} */" if self.note else "")


def struct_bytes(members: Iterable[Member]) -> int:
    """Return the size of a C struct of these members."""
    return np.dtype([member.layout for member in members], align=True).itemsize


@dataclass(frozen=True, eq=False)
class Part:
    """Some statements of ``har.c``.

    Attributes:
        body: the statements.
        members: of ``har_context``, all zero after ``har_init``.
        tables: constant arrays by C name.
    """

    body: str
    members: tuple[Member, ...] = ()
    tables: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def tables_text(parts: Iterable[Part]) -> str:
    """Return the definitions of all tables."""
    return "\n".join(array(name, data) for part in parts for name, data in part.tables.items())


def tables_bytes(parts: Iterable[Part]) -> int:
    """Return the size of all tables."""
    return sum(data.nbytes for part in parts for data in part.tables.values())
