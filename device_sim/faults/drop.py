"""Samples get lost, each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator


class Drop:
    """Loses a share of the samples.

    Args:
        severity: share, 0 to 1.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._share, self._rng = severity, rng
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Keep the others."""
        keep = self._rng.random(len(taken)) >= self._share
        self.touched += len(taken) - int(keep.sum())
        return taken.rows(keep)
