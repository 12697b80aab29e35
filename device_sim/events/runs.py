"""A track is one label a sample, -1 for none; a run is a stretch of one label in it. All of the scores are about runs.

Two tracks are made of what a device said. The *log* dates an event back to the first decision of its stretch, as the
device writes it down; it is what the events of the truth are compared with. *Told* is what the device had announced
by then, debounce waited for; it is what a user waits for, and what delays and flips are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.results import Event
from edgehar.recording import UNLABELLED

Track = NDArray[np.int16]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Runs:
    """Stretches in the order of time, none empty, none touching the next of the same label.

    Attributes:
        starts: ``[N]`` int64 first sample.
        ends: ``[N]`` int64 first sample after it.
    """

    starts: Ints
    ends: Ints

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> Ints:
        """``[N]`` samples."""
        return self.ends - self.starts


def all_runs(track: Track) -> tuple[Runs, Track]:
    """Return every run of a track ``[T]``, those of no label included, and their labels ``[N]``."""
    starts = np.flatnonzero(np.diff(track, prepend=np.int16(UNLABELLED - 1))).astype(np.int64)
    return Runs(starts, np.append(starts[1:], len(track)).astype(np.int64)[: len(starts)]), track[starts]


def runs_by_label(track: Track, classes: int) -> list[Runs]:
    """Return the runs of each label."""
    runs, labels = all_runs(track)
    return [Runs(runs.starts[labels == label], runs.ends[labels == label]) for label in range(classes)]


def runs_of(track: Track, label: int) -> Runs:
    """Return the runs of one label."""
    return runs_by_label(track, label + 1)[label]


def log_track(events: Sequence[Event], rate_hz: float, samples: int) -> Track:
    """Return ``[samples]`` labels of the events as the device dates them."""
    track = np.full(samples, UNLABELLED, np.int16)
    for event in events:
        track[round(event.start_s * rate_hz) : round(event.end_s * rate_hz)] = event.label
    return track


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Which of the others each run has a sample in common with.

    Attributes:
        first, last: ``[N]`` int64: the others ``first`` to ``last - 1``.
    """

    first: Ints
    last: Ints

    @property
    def counts(self) -> Ints:
        """``[N]`` how many."""
        return self.last - self.first


def overlaps(runs: Runs, others: Runs) -> Overlaps:
    """Return the others that each run overlaps."""
    first = np.searchsorted(others.ends, runs.starts, "right").astype(np.int64)
    last = np.searchsorted(others.starts, runs.ends, "left").astype(np.int64)
    return Overlaps(first, last)
