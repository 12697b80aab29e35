"""Event F1: an announced event is right when it and a true event of its activity are mostly the same stretch of time.

A true and an announced event of one activity match when their intersection is at least half of their union. Then no
event matches two: the parts of two announced events within a true one, with a gap between them, cannot both be half of
it. So no assignment has to be chosen, and ``F1 = 2 * matched / (true + announced)``.

Source: Lea et al., "Temporal Convolutional Networks for Action Segmentation and Detection", CVPR 2017, section 4.1,
segmental F1 at an overlap of 50 %.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device_sim.events.runs import Ints, Runs, overlaps


def matches(truth: Runs, log: Runs) -> tuple[Ints, Ints]:
    """Return indices ``[M]`` of true events and ``[M]`` of the announced events that match them."""
    touched = overlaps(truth, log)
    mine = np.repeat(np.arange(len(truth)), touched.counts)
    offsets = np.arange(len(mine)) - np.repeat(np.cumsum(touched.counts) - touched.counts, touched.counts)
    theirs = touched.first[mine] + offsets
    inner = np.minimum(truth.ends[mine], log.ends[theirs]) - np.maximum(truth.starts[mine], log.starts[theirs])
    outer = np.maximum(truth.ends[mine], log.ends[theirs]) - np.minimum(truth.starts[mine], log.starts[theirs])
    alike: NDArray[np.bool_] = 2 * inner >= outer
    return mine[alike], theirs[alike]


def f1(matched: int, true: int, announced: int) -> float | None:
    """Return event F1; None where there is neither a true nor an announced event."""
    return 2 * matched / (true + announced) if true + announced else None
