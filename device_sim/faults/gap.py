"""The link is lost for a while and comes back; the clock goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_sim.faults.episodes import Episodes
from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator

EVERY_S = 30.0


class Gap:
    """Loses all samples of a stretch, once in every ``EVERY_S``.

    Args:
        severity: seconds, at most ``EVERY_S``.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._episodes = Episodes(rng, EVERY_S, severity)
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Keep the others."""
        lost = self._episodes.inside(taken.true_us)
        self.touched += int(lost.sum())
        return taken.rows(~lost)
