"""Time-stamped samples to a steady rate, as the firmware does it: what ``har_resample.h`` computes, bit for bit.

1. A stamp is a microsecond counter of 32 bits; it may wrap. Steps are measured from the last sample that was taken.
2. A step of 0 is a duplicate, one back by at most ``gap_us`` is late: the sample is dropped, and counted.
3. A step ahead by at most ``gap_us`` is bridged: each grid point up to the sample is the straight line between the two
   samples, in float32 with every operation rounded by itself; a grid point on the sample is the sample, unchanged.
4. Any other step is a break (a gap, or a clock that was set): the grid starts anew with this sample, and the device
   forgets the past.

A value that is not a number makes the grid points beside it ones; the device replaces them by the last good value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.stamped import Stamped
from edgehar.signal.grid import Grid, grid_of

I64 = NDArray[np.int64]
F32 = NDArray[np.float32]

STAMPS = 1 << 32


@dataclass(frozen=True, eq=False)
class Steady:
    """Samples on the grid, M of them, and where each comes from.

    Rows are counted from the first sample that the resampler was ever given, dropped ones included.

    Attributes:
        samples: ``[M, C]`` float32.
        left, right: ``[M]`` int64 rows of the two samples around each; equal where it is a sample itself.
        weight: ``[M]`` float32 share of the right one.
        breaks: those of the M before which the device forgets the past.
    """

    samples: F32
    left: I64
    right: I64
    weight: F32
    breaks: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)


@dataclass
class _Last:
    """The last sample taken. ``ahead`` ticks after it lies the next grid point."""

    stamp: int
    sample: F32
    row: int
    ahead: int


class Resampler:
    """Brings time-stamped samples to a steady rate. Any chunking gives the same output.

    Args:
        rate_hz: of the grid.
        gap_us: the longest step that is bridged; None as in :func:`edgehar.signal.grid.grid_of`.

    Attributes:
        late: samples dropped because a later one had come before.
        duplicates: samples dropped because their stamp was the last one's.
        interpolated: grid points inside of a step of more than one and a half periods, where samples are missing.
        breaks: times that the grid started anew.

    Raises:
        ValueError: see :func:`edgehar.signal.grid.grid_of`.
    """

    def __init__(self, rate_hz: float, gap_us: int | None = None) -> None:
        self.grid: Grid = grid_of(rate_hz, gap_us)
        self.reset()

    def reset(self) -> None:
        """Forget everything, counts too; the next sample is the first grid point."""
        self.late = self.duplicates = self.interpolated = self.breaks = 0
        self._rows = 0
        self._last: _Last | None = None

    def push(self, chunk: Stamped) -> Steady:
        """Return the grid points that these samples complete."""
        parts: list[Steady] = []
        breaks = []
        for begins, taken in self._stretches(chunk):
            if begins and self._last is not None:
                self.breaks += 1
                breaks.append(sum(len(part) for part in parts))
            parts.append(self._bridge(chunk, taken, begins))
        self._rows += len(chunk)
        if not parts:
            none = np.empty(0, np.int64)
            return Steady(np.empty((0, chunk.samples.shape[1]), np.float32), none, none, np.empty(0, np.float32))
        samples, left, right, weight = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("samples", "left", "right", "weight")
        )
        return Steady(samples, left, right, weight, tuple(breaks))

    def _stretches(self, chunk: Stamped) -> Iterator[tuple[bool, I64]]:
        """Yield rows of the chunk that are taken with no break between them, and whether the grid begins there."""
        gap = self.grid.gap_us
        stamps = chunk.t_us % STAMPS
        at = 0
        while at < len(stamps):
            begins = self._last is None or abs(_signed(int(stamps[at]) - self._last.stamp)) > gap
            origin = int(stamps[at]) if self._last is None or begins else self._last.stamp
            steps = _signed(np.diff(stamps[at:], prepend=origin))
            position = np.cumsum(steps)  # µs after the origin, which is a sample taken
            newest = np.maximum.accumulate(np.concatenate([[0], position]))[:-1]
            ahead = position - newest
            if begins:
                ahead[0] = 1  # the origin itself
            far = np.flatnonzero(np.abs(ahead) > gap)
            ahead = ahead[: far[0]] if len(far) else ahead
            self.duplicates += int((ahead == 0).sum())
            self.late += int((ahead < 0).sum())
            yield begins, at + np.flatnonzero(ahead > 0)
            at += len(ahead)

    def _bridge(self, chunk: Stamped, taken: I64, begins: bool) -> Steady:
        """Grid points from the last sample, or from the first of these where the grid begins, to the last of these."""
        period = self.grid.period_ticks
        rows, stamps, x = self._rows + taken, chunk.t_us[taken] % STAMPS, chunk.samples[taken]
        first = 0
        if self._last is not None and not begins:
            rows = np.concatenate([[self._last.row], rows])
            stamps = np.concatenate([[self._last.stamp], stamps])
            x = np.concatenate([self._last.sample[None], x])
            first = self._last.ahead
        ticks = np.concatenate([[0], np.cumsum(_signed(np.diff(stamps)) * self.grid.ticks_per_us)])
        count = max(0, (int(ticks[-1]) - first) // period + 1)
        at = first + period * np.arange(count, dtype=np.int64)
        right = np.searchsorted(ticks, at)
        on_sample = at == ticks[right]
        left = np.where(on_sample, right, right - 1)
        span = np.where(on_sample, 1, ticks[right] - ticks[left])
        weight = (at - ticks[left]).astype(np.float32) / span.astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            samples = x[right] - x[left]
            samples *= weight[:, None]
            samples += x[left]
        samples[on_sample] = x[right[on_sample]]
        self.interpolated += int((span > period + period // 2).sum())
        self._last = _Last(int(stamps[-1]), x[-1].copy(), int(rows[-1]), first + count * period - int(ticks[-1]))
        return Steady(samples, rows[left], rows[right], weight)


def _signed(steps: Any) -> Any:
    """Differences of 32-bit stamps, int or array, in -2^31..2^31 - 1."""
    return (steps + STAMPS // 2) % STAMPS - STAMPS // 2
