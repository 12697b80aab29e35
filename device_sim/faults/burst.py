"""Samples get lost in bursts, as on a radio link in the shadow of a body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator

MEAN_SAMPLES = 10


class Burst:
    """Loses a share of the samples, in bursts of ``MEAN_SAMPLES`` in the mean.

    A chain of two states: from good to bad with a probability that gives the share, back with 1 / ``MEAN_SAMPLES``.
    One number a sample decides. Below both ways into "bad" (or above both) it decides alone; between them the state
    stays as it was, so the last sample that decided alone says what it is.

    Args:
        severity: share, 0 to 0.9.

    Source: Gilbert, Capacity of a burst-noise channel, Bell System Technical Journal 39 (1960).
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        leave = 1 / MEAN_SAMPLES
        self._enter, self._stay = leave * severity / (1 - severity), 1 - leave
        self._rng = rng
        self._bad = False
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Keep those that the good state meets."""
        u = self._rng.random(len(taken))
        low, high = sorted((self._enter, self._stay))
        decided = np.where((u < low) | (u >= high), np.arange(1, len(u) + 1), 0)
        states = np.concatenate([[self._bad], u < low])
        bad = states[np.maximum.accumulate(decided)]
        if len(bad):
            self._bad = bool(bad[-1])
        self.touched += int(bad.sum())
        return taken.rows(~bad)
