"""The sensor's zero is not zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator


class Bias:
    """Adds the same vector all the time: of one length, in a direction that is random for each sensor and recording.

    Args:
        severity: the length, in g for accelerometers, and the same number in rad/s for gyroscopes.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._offset = setting.each(severity, severity).astype(np.float32)
        for columns in setting.triplets():
            direction = rng.standard_normal(3)
            self._offset[columns] *= direction / np.linalg.norm(direction)
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on."""
        self.touched += len(taken)
        return taken.measuring(taken.samples + self._offset)
