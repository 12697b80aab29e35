"""Values that are no numbers: a bus that failed, a driver that divided by zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator

KINDS = np.array([np.nan, np.inf, -np.inf], np.float32)


class NotANumber:
    """Makes a share of all values NaN (half of them), +infinity or -infinity (a quarter each).

    Args:
        severity: share, 0 to 1.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._share, self._rng = severity, rng
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on, some of them spoiled."""
        u = self._rng.random(taken.samples.shape)
        hit = u < self._share
        which = np.searchsorted([0.5 * self._share, 0.75 * self._share], u, side="right")
        self.touched += int(hit.any(axis=1).sum())
        return taken.measuring(np.where(hit, KINDS[which], taken.samples))
