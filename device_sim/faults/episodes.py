"""Stretches of time in which something is wrong: one at a random place in every slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.random import Generator

I64 = NDArray[np.int64]


class Episodes:
    """One episode of ``length_s`` in every ``every_s`` of true time, none across the border of two slots.

    Args:
        rng: where in its slot each begins.
        every_s: of a slot.
        length_s: of an episode, at most ``every_s``.
    """

    def __init__(self, rng: Generator, every_s: float, length_s: float) -> None:
        self._rng = rng
        self._every_us = round(every_s * 1e6)
        self.length_us = min(round(length_s * 1e6), self._every_us)
        self._starts = np.empty(0, np.int64)

    def starts(self, true_us: I64) -> I64:
        """Return where the episode of each moment's slot begins."""
        slots = true_us // self._every_us
        missing = int(slots.max(initial=-1)) + 1 - len(self._starts)
        if missing > 0:
            first = np.arange(len(self._starts), len(self._starts) + missing) * self._every_us
            offset = self._rng.random(missing) * (self._every_us - self.length_us)
            self._starts = np.concatenate([self._starts, first + offset.astype(np.int64)])
        return self._starts[slots]

    def inside(self, true_us: I64) -> NDArray[np.bool_]:
        """Return which moments lie in an episode."""
        start = self.starts(true_us)
        return (true_us >= start) & (true_us < start + self.length_us)
