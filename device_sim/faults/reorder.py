"""Samples overtake each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.taken import Setting, Taken, join

if TYPE_CHECKING:
    from numpy.random import Generator

LATEST = 3


class Reorder:
    """Lets a share of the samples arrive one to ``LATEST`` samples later, with the stamp that they have.

    Args:
        severity: share, 0 to 1.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._share, self._rng = severity, rng
        self._held: Taken | None = None
        self._places = np.empty(0)  # after which of the samples each one held arrives
        self._count = 0
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass on what has arrived by the last of these samples."""
        u = self._rng.random(len(taken))
        delayed = u < self._share
        self.touched += int(delayed.sum())
        delay = np.where(delayed, 1.5 + np.floor(LATEST * u / max(self._share, 1e-300)), 0.0)
        places = np.concatenate([self._places, self._count + np.arange(len(taken)) + delay])
        self._count += len(taken)
        every = taken if self._held is None else join([self._held, taken])
        order = np.argsort(places, kind="stable")
        here = places[order] < self._count
        self._held, self._places = every.rows(order[~here]), places[order[~here]]
        return every.rows(order[here])

    def finish(self) -> Taken | None:
        """Return those still on their way."""
        return self._held
