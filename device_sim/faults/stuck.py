"""One axis does not change any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.episodes import Episodes
from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator

EVERY_S = 20.0


class Stuck:
    """Holds the value of one axis, the same one of a recording, for a part of every ``EVERY_S``.

    Args:
        severity: share of the time, 0 to 1; at 1 the value changes only from slot to slot.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._axis = int(rng.integers(len(setting.channels)))
        self._episodes = Episodes(rng, EVERY_S, EVERY_S * severity)
        self._episode = -1
        self._value = np.float32(0)
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on; within an episode the axis has the value that it had at its first sample."""
        inside = np.flatnonzero(self._episodes.inside(taken.true_us))
        samples = taken.samples.copy()
        starts = self._episodes.starts(taken.true_us[inside])
        for episode in np.unique(starts).tolist():
            rows = inside[starts == episode]
            if episode != self._episode:
                self._episode, self._value = episode, taken.samples[rows[0], self._axis]
            samples[rows, self._axis] = self._value
        self.touched += len(inside)
        return taken.measuring(samples)
