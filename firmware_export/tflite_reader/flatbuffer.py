"""Tables of a FlatBuffer, every access inside the file or refused: whoever wrote the bytes may have lied.

Source of the layout: the FlatBuffers "internals" document. A table begins with the distance back to its vtable, which
holds its own size, the table's size, and for each field the offset from the table's start, 0 where it has its default.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ExportError

LONGEST_TEXT = 512  # bytes of a name


def damaged(what: str) -> ExportError:
    """Return the error for bytes that contradict themselves."""
    return ExportError(f"the .tflite file is damaged: {what}; make it again or take another copy")


@dataclass(frozen=True)
class Table:
    """One table: ``position`` of its start in ``data``. Fields are asked for by their place in the schema, from 0."""

    data: bytes
    position: int

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Return an integer of ``struct`` kind ``b B h H i I q`` (or ``?``)."""
        at = self._field(field)
        return default if at is None else int(_unpack(self.data, kind, at))

    def real(self, field: int, default: float = 0.0) -> float:
        """Return a float32."""
        at = self._field(field)
        return default if at is None else float(_unpack(self.data, "f", at))

    def vector(self, field: int, dtype: str) -> NDArray[Any] | None:
        """Return a vector of numbers, a read-only view of the file; None where it is left out."""
        at = self._field(field)
        if at is None:
            return None
        start, count = self._vector(at)
        itemsize = np.dtype(dtype).itemsize
        if start + count * itemsize > len(self.data):
            raise damaged(f"{count} numbers of {itemsize} bytes at byte {start} of {len(self.data)}")
        return np.frombuffer(self.data, np.dtype(dtype).newbyteorder("<"), count, start)

    def table(self, field: int) -> Table | None:
        """Return a table inside, None where it is left out."""
        at = self._field(field)
        return None if at is None else Table(self.data, self._follow(at))

    def tables(self, field: int, most: int) -> list[Table]:
        """Return a vector of tables, none where it is left out.

        Raises:
            ExportError: there are more than ``most``.
        """
        at = self._field(field)
        if at is None:
            return []
        start, count = self._vector(at)
        if count > most:
            raise ExportError(f"the .tflite file lists {count} tables at byte {start}, at most {most} are read")
        return [Table(self.data, self._follow(start + 4 * i)) for i in range(count)]

    def text(self, field: int) -> str:
        """Return a string, empty where it is left out."""
        found = self.vector(field, "uint8")
        return "" if found is None else found[:LONGEST_TEXT].tobytes().decode("utf-8", "replace")

    def _field(self, field: int) -> int | None:
        vtable = self.position - int(_unpack(self.data, "i", self.position))
        size = int(_unpack(self.data, "H", vtable))
        entry = 4 + 2 * field
        if entry + 2 > size:
            return None
        offset = int(_unpack(self.data, "H", vtable + entry))
        return self.position + offset if offset else None

    def _vector(self, at: int) -> tuple[int, int]:
        start = self._follow(at)
        return start + 4, int(_unpack(self.data, "I", start))

    def _follow(self, at: int) -> int:
        return at + int(_unpack(self.data, "I", at))


def root(data: bytes, identifier: bytes) -> Table:
    """Return the outermost table.

    Raises:
        ExportError: the file is too short, or another kind of file.
    """
    if len(data) < 8 or data[4:8] != identifier:
        raise ExportError(
            f"{len(data)} bytes that begin with {data[:8].hex(' ') or 'nothing'} are no .tflite file, expected "
            f"{identifier.decode()!r} at byte 4"
        )
    return Table(data, int(_unpack(data, "I", 0)))


def _unpack(data: bytes, kind: str, at: int) -> Any:
    if not 0 <= at <= len(data) - struct.calcsize(kind):
        raise damaged(f"it points to byte {at} of {len(data)}")
    return struct.unpack_from(f"<{kind}", data, at)[0]
