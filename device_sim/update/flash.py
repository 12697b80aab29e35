"""NOR flash as microcontrollers have it: erased by the sector to ones, programmed by the page from ones to zeros.

It lives in a file, written in place operation by operation, so a process that is killed is a device whose power was
cut. A cut can also be asked for: at operation ``cut_at`` the work stops in the middle, with every bit that was to
change being old or new by chance, as interrupted cells read.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from edgehar.errors import DataError

SECTOR_BYTES = 4096
PAGE_BYTES = 256
ERASED = 0xFF


class PowerCutError(Exception):
    """The power went in the middle of an operation; the device has to boot again."""


class Flash:
    """The memory of one device.

    Args:
        path: of the file.
        cut_at: number of the operation, counted from 1 since opening, in which the power is cut; None never.
        seed: of which bits had changed by then.

    Attributes:
        operations: erasures and programmed pages since opening.
        sectors: how many there are.

    Raises:
        DataError: the file is no flash.
    """

    def __init__(self, path: Path, cut_at: int | None = None, seed: int = 0) -> None:
        self.path = path
        self.operations = 0
        self._cut_at = cut_at
        self._rng = np.random.default_rng(seed)
        try:
            self._file: BinaryIO = path.open("r+b", buffering=0)
        except OSError as error:
            raise DataError(f"{path}: cannot be opened ({error.strerror}); make one with --new") from None
        size = path.stat().st_size
        if size == 0 or size % SECTOR_BYTES:
            self._file.close()
            raise DataError(f"{path}: {size} bytes, expected whole sectors of {SECTOR_BYTES}; is this a flash?")
        self.sectors = size // SECTOR_BYTES

    @staticmethod
    def create(path: Path, sectors: int) -> None:
        """Write an erased flash to ``path``.

        Raises:
            FileExistsError: something is there.
        """
        with path.open("xb") as stream:
            stream.write(bytes([ERASED]) * (sectors * SECTOR_BYTES))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes."""
        self._check(offset, size)
        self._file.seek(offset)
        return self._file.read(size)

    def erase(self, sector: int) -> None:
        """Set a sector's bits.

        Raises:
            PowerCutError: the power was cut.
        """
        self._change(sector * SECTOR_BYTES, bytes([ERASED]) * SECTOR_BYTES)

    def program(self, offset: int, data: bytes) -> None:
        """Clear bits of one page: what is read afterwards is what was there AND ``data``.

        Raises:
            ValueError: it crosses a page.
            PowerCutError: the power was cut.
        """
        if offset % PAGE_BYTES + len(data) > PAGE_BYTES:
            raise ValueError(f"{len(data)} bytes at {offset} cross a page of {PAGE_BYTES}")
        old = np.frombuffer(self.read(offset, len(data)), np.uint8)
        self._change(offset, (old & np.frombuffer(data, np.uint8)).tobytes())

    def _change(self, offset: int, new: bytes) -> None:
        self._check(offset, len(new))
        self.operations += 1
        cut = self.operations == self._cut_at
        if cut:
            old = np.frombuffer(self.read(offset, len(new)), np.uint8)
            changed = self._rng.integers(0, 256, len(new), np.uint8)
            new = (old & ~changed | np.frombuffer(new, np.uint8) & changed).tobytes()
        self._file.seek(offset)
        self._file.write(new)
        if cut:
            raise PowerCutError(f"power cut in operation {self.operations}")

    def _check(self, offset: int, size: int) -> None:
        if not 0 <= offset <= offset + size <= self.sectors * SECTOR_BYTES:
            raise ValueError(f"{size} bytes at {offset} are outside of a flash of {self.sectors * SECTOR_BYTES}")
