"""From decisions to events: a new label is announced once it has been decided several times in a row."""

from __future__ import annotations

from device_sim.results import Event
from edgehar.errors import BundleError


class Debounce:
    """Stretches of one label: a new one is announced after ``min_decisions`` equal decisions in a row.

    An event starts with the first decision of its stretch and ends where the next event starts.

    Attributes:
        label: the announced one; None before the first.
        settled: the last decision was the announced label, so that an equal one changes nothing.
    """

    def __init__(self, min_decisions: int) -> None:
        if min_decisions < 1:
            raise BundleError(f"decision min_decisions is {min_decisions}, expected at least 1")
        self.min_decisions = min_decisions
        self.reset()

    def reset(self) -> None:
        """No event is open."""
        self.label: int | None = None
        self.settled = True
        self._start_s = 0.0
        self._candidate = -1
        self._candidate_start_s = 0.0
        self._count = 0

    def update(self, label: int, time_s: float) -> Event | None:
        """Take a decision made at ``time_s``; returns the event it ended, if it did."""
        if label == self.label:
            self.settled = True
            return None
        if self.settled or label != self._candidate:
            self._candidate, self._candidate_start_s, self._count = label, time_s, 0
            self.settled = False
        self._count += 1
        if self._count < self.min_decisions:
            return None
        ended = self.close(self._candidate_start_s)
        self.label, self._start_s, self.settled = label, self._candidate_start_s, True
        return ended

    def close(self, time_s: float) -> Event | None:
        """Return the open event as ended at ``time_s``; None if nothing was announced yet."""
        return None if self.label is None else Event(self.label, self._start_s, time_s)
