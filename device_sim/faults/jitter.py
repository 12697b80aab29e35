"""Stamps are not when the sample was taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator


class Jitter:
    """Adds an error to each stamp by itself; where it is larger than half a period, stamps change places.

    Args:
        severity: standard deviation in milliseconds, normally distributed.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._deviation_us, self._rng = 1e3 * severity, rng
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on."""
        self.touched += len(taken)
        return taken.stamped(taken.t_us + self._deviation_us * self._rng.standard_normal(len(taken)))
