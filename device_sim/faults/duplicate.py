"""Samples are sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator


class Duplicate:
    """Repeats a share of the samples, stamp and all.

    Args:
        severity: share, 0 to 1.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._share, self._rng = severity, rng
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on, some of them twice."""
        twice = self._rng.random(len(taken)) < self._share
        self.touched += int(twice.sum())
        return taken.rows(np.repeat(np.arange(len(taken)), 1 + twice))
