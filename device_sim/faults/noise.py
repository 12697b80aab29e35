"""The sensor is noisy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator


class Noise:
    """Adds white normal noise to accelerometers and gyroscopes.

    Args:
        severity: standard deviation, in g for accelerometers, and the same number in rad/s for gyroscopes.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._deviation = setting.each(severity, severity)
        self._rng = rng
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on."""
        self.touched += len(taken)
        return taken.measuring(taken.samples + self._deviation * self._rng.standard_normal(taken.samples.shape))
