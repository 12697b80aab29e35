"""A converter with few bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator

ACC_RANGE_G = 8.0
GYRO_RANGE_RAD_S = 2000 * np.pi / 180


class Adc:
    """Rounds to the steps of a converter over ±``ACC_RANGE_G`` and ±``GYRO_RANGE_RAD_S``, and saturates there.

    Args:
        severity: bits, 1 to 24.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        levels = 2.0 ** (severity - 1)
        reach = setting.each(ACC_RANGE_G, GYRO_RANGE_RAD_S)
        self._columns = np.flatnonzero(reach)
        self._step = reach[self._columns] / levels
        self._levels = levels
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on."""
        samples = taken.samples.copy()
        codes = np.clip(np.rint(samples[:, self._columns] / self._step), -self._levels, self._levels - 1)
        samples[:, self._columns] = codes * self._step
        self.touched += len(taken)
        return taken.measuring(samples)
