"""The last feature rows of the stream, always contiguous in memory, in a buffer of fixed size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class RingBuffer:
    """Holds at least the last ``window + append_max - 1`` rows and hands out windows of them without copying.

    A linear buffer: rows are appended at its end, and when there is no room left the rows still needed move to its
    front. That happens once in ``rows // append_max`` appends, so a window view costs nothing and an append costs
    one copy and a share of another.

    Args:
        window: rows of a view.
        width: columns F.
        append_max: most rows in one append.
        dtype: of the numbers.
    """

    def __init__(self, window: int, width: int, append_max: int, dtype: str = "int8") -> None:
        if window < 1 or width < 1 or append_max < 1:
            raise ValueError(f"window {window}, width {width}, append_max {append_max}: expected at least 1 each")
        self.window = window
        self.append_max = append_max
        self._rows = np.zeros((window + max(window, 2 * append_max), width), dtype)
        self._end = 0
        self.total = 0

    @property
    def nbytes(self) -> int:
        """Size of the buffer, fixed."""
        return self._rows.nbytes

    def reset(self) -> None:
        """Forget all rows."""
        self._end = 0
        self.total = 0

    def append(self, rows: NDArray[Any]) -> None:
        """Add ``rows`` ``[N, F]``, N up to ``append_max``."""
        count = len(rows)
        if count > self.append_max:
            raise ValueError(f"{count} rows in one append, expected at most {self.append_max}")
        end = self._end + count
        if end > len(self._rows):
            keep = self.window - 1  # a window may end at the first new row
            self._rows[:keep] = self._rows[self._end - keep : self._end]
            self._end = keep
            end = keep + count
        self._rows[self._end : end] = rows
        self._end = end
        self.total += count

    def views(self, count: int, hop: int) -> list[NDArray[Any]]:
        """Return ``count >= 1`` windows ``[window, F]``, ``hop`` rows apart, up to the newest; valid until an append.

        Raises:
            ValueError: the rows are not there, or no longer.
        """
        window, rows = self.window, self._rows
        last = self._end - window
        first = last - (count - 1) * hop
        if first < 0:
            raise ValueError(f"{count} windows of {window} rows, {hop} apart: {self._end} rows are kept")
        return [rows[start : start + window] for start in range(first, last + 1, hop)]
