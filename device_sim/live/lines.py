"""Lines of text to stamped samples: one sample a line, cells separated by comma, semicolon, tab or blanks.

A first line of names says what the cells are: all channels of the bundle in any order, optionally one of the time
columns of ``CLOCKS``; other names are ignored. Without names a line holds the channels alone, in the bundle's order.
Samples without a time are taken to be at the bundle's rate.

A line that cannot be read is counted and left out: on a wire the first line is often half a line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from device_sim.sources import is_number
from device_sim.stamped import Stamped
from edgehar.errors import DataError

CLOCKS = {"t_s": 1e6, "t_ms": 1e3, "t_us": 1.0, "t_ns": 1e-3}  # µs in one of it
SEPARATOR = re.compile(r"[,;\t ]\s*")
LONGEST_LINE = 4096
LONGEST_US = 1 << 62
BAD_AT_FIRST = 20  # unreadable lines before the first good one, after which it is not noise any more


class _BadLineError(ValueError):
    """A line that is counted and left out; says what was wrong."""


class LineReader:
    """Cuts blocks of bytes into lines and lines into numbers.

    Args:
        channels: of the bundle, in order.
        rate_hz: of samples that carry no time.
        columns: stands in for the line of names; empty takes what comes.
        datagrams: a block's last line is complete without its newline.

    Attributes:
        stamped: samples carry the time at which they were taken; known after the first line.
        bad_lines: lines left out.
        trouble: what was wrong with the last of them.

    Raises:
        DataError: ``columns`` lack a channel.
    """

    def __init__(
        self, channels: Sequence[str], rate_hz: float, columns: Sequence[str] = (), *, datagrams: bool = False
    ) -> None:
        self._channels = tuple(channels)
        self._period_us = 1e6 / rate_hz
        self._datagrams = datagrams
        self._rest = b""
        self._skipping = False
        self._order: tuple[int, ...] | None = None
        self._cells = 0
        self._clock: tuple[int, float] | None = None
        self._good = 0
        self.bad_lines = 0
        self.trouble = ""
        if columns:
            self._take_names(columns)

    @property
    def stamped(self) -> bool:
        """Whether samples carry their time."""
        return self._clock is not None

    def feed(self, block: bytes) -> Stamped:
        """Return the samples of the lines that ``block`` completes.

        Raises:
            DataError: the names lack a channel, or none of the first lines can be read.
        """
        if self._datagrams and block:
            block += b"\n"
        *lines, self._rest = (self._rest + block).split(b"\n")
        stamps, rows = [], []
        for line in lines:
            if self._skipping:  # the rest of a line that was too long
                self._skipping = False
                continue
            try:
                row = self._row(line.decode("utf-8", "replace").lstrip("\ufeff").strip())
            except _BadLineError as error:
                self._bad(str(error))
                continue
            if row is not None:
                stamps.append(row[0])
                rows.append(row[1])
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
            if not self._skipping:
                self._bad(f"a line of more than {LONGEST_LINE} bytes")
            self._skipping = True
        samples = np.array(rows, np.float64).reshape(len(rows), len(self._channels))
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and the device replaces it
            return Stamped(np.array(stamps, np.int64), samples.astype(np.float32))

    def _row(self, text: str) -> tuple[int, list[float]] | None:
        """Stamp and channels of a line; None for one that carries no sample."""
        if not text:
            return None
        cells = [cell.strip('"') for cell in SEPARATOR.split(text)]
        if not any(map(is_number, cells)) and set(cells) & set(self._channels):
            self._take_names(cells)  # once more when another sender begins
            return None
        if self._order is None:
            if len(cells) != len(self._channels):
                raise _BadLineError(
                    f"{text[:60]!r} has {len(cells)} cells, expected {', '.join(self._channels)}; name the columns in "
                    "a first line or with --columns"
                )
            order, count = tuple(range(len(self._channels))), len(self._channels)
        else:
            order, count = self._order, self._cells
        if len(cells) != count:
            raise _BadLineError(f"{text[:60]!r} has {len(cells)} cells, expected {count}")
        try:
            values, stamp = [float(cells[i]) for i in order], self._stamp(cells)
        except (ValueError, OverflowError):
            raise _BadLineError(f"{text[:60]!r} holds a cell that is not a number") from None
        self._order, self._cells = order, count
        self._good += 1
        return stamp, values

    def _stamp(self, cells: list[str]) -> int:
        if self._clock is None:
            return round(self._good * self._period_us)
        column, factor = self._clock
        stamp = round(float(cells[column]) * factor)
        if abs(stamp) > LONGEST_US:
            raise OverflowError
        return stamp

    def _take_names(self, names: Sequence[str]) -> None:
        missing = [name for name in self._channels if name not in names]
        if missing:
            raise DataError(
                f"no column {', '.join(missing)} among {', '.join(names)}; expected {', '.join(self._channels)} and "
                f"optionally one of {', '.join(CLOCKS)}"
            )
        self._order, self._cells = tuple(names.index(name) for name in self._channels), len(names)
        clocks = [(names.index(name), factor) for name, factor in CLOCKS.items() if name in names]
        self._clock = clocks[0] if clocks else None

    def _bad(self, trouble: str) -> None:
        """Count a line that is left out."""
        self.bad_lines += 1
        self.trouble = trouble
        if not self._good and self.bad_lines >= BAD_AT_FIRST:
            raise DataError(f"none of the first {BAD_AT_FIRST} lines could be read; the last: {trouble}")
