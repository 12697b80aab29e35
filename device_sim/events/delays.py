"""How long a user waits for the device to say what is going on, and how often it says something else meanwhile.

The delay of a true event is the time from its start to the first moment at which the announced activity is its own; 0
where the device had announced it before and still did. An event that ends first is undetected, and has no delay. A
delay is the sum of

* the samples of the new activity that a window needs to look like it: some share of the window, often half;
* the wait for the next decision: up to a hop, half a hop on average;
* smoothing: the decisions that the old activity still outweighs;
* debounce: ``min_decisions - 1`` hops, always;
* the computation itself, microseconds to milliseconds: not in here, but in the latencies.

A flip is an announcement within a true event that is not its detection (the first of its own activity): one stretch
of something else and back are two. A false alarm is an announcement in a stretch without a label whose event, in the
log, overlaps no true event of its activity; an activity that was announced a little early is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.events.runs import Ints, Runs, Track


@dataclass(frozen=True, eq=False)
class Waits:
    """What the true events of one recording waited for.

    Attributes:
        delays: ``[N]`` samples from an event's start to its detection; -1 undetected.
        flips: announcements within true events that were no detection.
    """

    delays: Ints
    flips: int


def waits(truth: Runs, labels: Track, announced_at: Ints, announced: Track) -> Waits:
    """Return delays and flips.

    Args:
        truth: the true events of all activities, in the order of time.
        labels: ``[N]`` their labels.
        announced_at: ``[E]`` sample with which each announcement came, ascending.
        announced: ``[E]`` what was announced, each until the next.
    """
    delays = np.full(len(truth), -1, np.int64)
    flips = 0
    first = np.searchsorted(announced_at, truth.starts, "left")
    last = np.searchsorted(announced_at, truth.ends, "left")
    for i, label in enumerate(labels.tolist()):
        inside = announced_at[first[i] : last[i]] - truth.starts[i]
        own = np.flatnonzero(announced[first[i] : last[i]] == label)
        held = first[i] > 0 and announced[first[i] - 1] == label and not (len(inside) and inside[0] == 0)
        flips += len(inside)
        if held:
            delays[i] = 0
        elif len(own):
            delays[i] = inside[own[0]]
            flips -= 1
    return Waits(delays, flips)


def false_alarms(truth: Track, announced_at: Ints, inserted: NDArray[np.bool_]) -> int:
    """Return how many announcements came where the truth ``[T]`` has no label, of events that are insertions."""
    within = announced_at < len(truth)
    return int((inserted[within] & (truth[announced_at[within]] < 0)).sum())
