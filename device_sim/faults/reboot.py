"""The device starts anew in mid-stream: what it remembers is gone, and its clock begins at zero."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.episodes import Episodes
from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator

EVERY_S = 60.0


class Reboot:
    """Reboots once in every ``EVERY_S``; while it does, samples are lost.

    Args:
        severity: seconds until it takes samples again, at most ``EVERY_S``.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._episodes = Episodes(rng, EVERY_S, severity)
        self._boots = 0
        self._ended_us = 0
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Keep the samples of a device that runs, stamped from its last start."""
        starts = self._episodes.starts(taken.true_us)
        lost = self._episodes.inside(taken.true_us)
        self.touched += int(lost.sum())
        kept, ends = taken.rows(~lost), starts[~lost] + self._episodes.length_us
        # of those before their slot's reboot the last one was that of the slot before
        ended = np.maximum.accumulate(np.where(kept.true_us >= ends, ends, self._ended_us))
        boot = self._boots + np.cumsum(np.diff(ended, prepend=self._ended_us) > 0)
        if len(kept):
            self._ended_us, self._boots = int(ended[-1]), int(boot[-1])
        return replace(kept, t_us=kept.t_us - ended, boot=boot.astype(np.int64))
