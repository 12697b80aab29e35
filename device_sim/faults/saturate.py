"""The accelerometer's range is too small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator


class Saturate:
    """Limits accelerations to a range, as a sensor set to ±2, 4, 8 or 16 g does.

    Args:
        severity: the limit in g.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._limit = setting.each(acc=severity, gyro=np.inf).astype(np.float32)
        self._limit[self._limit == 0] = np.inf
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on."""
        limited = np.clip(taken.samples, -self._limit, self._limit)
        self.touched += int((limited != taken.samples).any(axis=1).sum())
        return taken.measuring(limited)
