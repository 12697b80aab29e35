"""The processor is busy with something else: samples wait in the sensor's FIFO, and beyond its depth they are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_sim.faults.episodes import Episodes
from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator

EVERY_S = 10.0
FIFO_SAMPLES = 32  # what a small IMU holds; the oldest makes room


class Stall:
    """Keeps the newest ``FIFO_SAMPLES`` of every stall, one in ``EVERY_S``.

    On the real-time clock the engine also really waits (:class:`device_sim.faults.stalling.StallingEngine`).

    Args:
        severity: seconds, at most ``EVERY_S``.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._episodes = Episodes(rng, EVERY_S, severity)
        self._kept_us = round(FIFO_SAMPLES * 1e6 / setting.rate_hz)
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Keep those outside of a stall, and its newest."""
        newest = self._episodes.starts(taken.true_us) + self._episodes.length_us - self._kept_us
        lost = self._episodes.inside(taken.true_us) & (taken.true_us < newest)
        self.touched += int(lost.sum())
        return taken.rows(~lost)
