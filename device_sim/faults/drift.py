"""The clock that stamps the samples runs fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator


class Drift:
    """Stretches the stamps: the device takes a second for longer than it is, so movement seems slower.

    Args:
        severity: parts per million; negative is a slow clock.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._factor = 1 + severity * 1e-6
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on."""
        self.touched += len(taken)
        return taken.stamped(taken.t_us * self._factor)
