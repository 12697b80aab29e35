"""What became of every true event, and what is behind every announced one: correct, missed, fragmented, merged.

One activity at a time; everything else, other activities and no activity alike, is "not this one". With ``=`` for the
stretches of the activity::

    truth     ====            ========   ==   ==      ====  ===
    log               ===     ==    ==   =======      ===== = =
              deleted inserted    F         M         C     F

=========  =============================================  ==================================================
letters    a true event                                   an announced event
=========  =============================================  ==================================================
C          overlaps one announced event, which overlaps   overlaps one true event, and is the only one there
           no other true one
D, I'      deleted: no announced event overlaps it        inserted: no true event overlaps it
F, F'      fragmented: two or more do                     fragmenting: one of two or more within a true event
M, M'      merged: shares an announced event with         merging: overlaps two or more true events
           another true one
FM, FM'    both                                           both
=========  =============================================  ==================================================

Every event is in exactly one row, and the two counts of C are equal. The same in samples: what of a true event was not
announced is deleted, fragmented (between two parts that were) or underfill (before the first, after the last); what
was announced and not true is inserted, merged or overfill.

Source: Ward, Lukowicz & Gellersen, "Performance Metrics for Activity Recognition", ACM TIST 2(1), 2011: segments and
their error categories in section 4, event categories and their diagram in section 5. Their segments are the pieces
between two changes of either track; with one activity at a time the rules above say the same of whole runs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from device_sim.events.runs import Ints, Runs, overlaps

# by code: (overlapped by several) + 2 * (shares with another); the last overlaps nothing
TRUE_CATEGORIES = ("correct", "fragmented", "merged", "fragmented_merged", "deleted")
ANNOUNCED_CATEGORIES = ("correct", "fragmenting", "merging", "fragmenting_merging", "inserted")
MISSED = 4


def true_codes(truth: Runs, log: Runs) -> Ints:
    """Return ``[N]`` indices into ``TRUE_CATEGORIES``."""
    several, shared, missed = _relations(truth, log)
    return np.where(missed, MISSED, several + 2 * shared)


def announced_codes(truth: Runs, log: Runs) -> Ints:
    """Return ``[N]`` indices into ``ANNOUNCED_CATEGORIES``."""
    several, shared, missed = _relations(log, truth)
    return np.where(missed, MISSED, shared + 2 * several)


def _relations(runs: Runs, others: Runs) -> tuple[Ints, Ints, Ints]:
    """Return for each run: overlaps several others; shares one with another run; overlaps none."""
    mine, theirs = overlaps(runs, others), overlaps(others, runs)
    wide = np.concatenate([[0], np.cumsum(theirs.counts >= 2)])
    missed = mine.counts == 0
    shared = wide[np.maximum(mine.last, mine.first)] > wide[mine.first]
    return (mine.counts >= 2).astype(np.int64), shared.astype(np.int64), missed.astype(np.int64)


@dataclass(frozen=True)
class Samples:
    """Samples of one activity, true or announced. ``true`` and ``announced`` are the sums of their parts.

    Attributes:
        correct: true and announced.
        deleted, fragmented, underfill_start, underfill_end: true, not announced.
        inserted, merged, overfill_start, overfill_end: announced, not true.
        substituted: true, and announced as another activity: a part of the true ones not announced; the rest of those
            was announced as nothing.
        announced_in_null: announced where the truth has no label: a part of the announced ones not true.
    """

    correct: int
    deleted: int
    fragmented: int
    underfill_start: int
    underfill_end: int
    inserted: int
    merged: int
    overfill_start: int
    overfill_end: int
    substituted: int = 0
    announced_in_null: int = 0

    def __add__(self, other: Samples) -> Samples:
        return Samples(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Samples)))

    @property
    def true(self) -> int:
        """All samples of the activity."""
        return self.correct + self.deleted + self.fragmented + self.underfill_start + self.underfill_end

    @property
    def announced(self) -> int:
        """All samples that the log gives to the activity."""
        return self.correct + self.inserted + self.merged + self.overfill_start + self.overfill_end


NO_SAMPLES = Samples(*(0 for f in fields(Samples)))


def count_samples(truth: Runs, log: Runs) -> Samples:
    """Return the samples of each category; ``substituted`` and ``announced_in_null`` are left at 0."""
    correct, *lost = _parts(truth, log)
    again, *extra = _parts(log, truth)
    assert correct == again
    return Samples(correct, *lost, *extra)


def _parts(runs: Runs, others: Runs) -> tuple[int, int, int, int, int]:
    """Samples of the runs: covered; of runs that nothing covers; between two covered parts; before; after."""
    mine = overlaps(runs, others)
    alone = mine.counts == 0
    first, last = mine.first[~alone], mine.last[~alone]
    starts, ends = runs.starts[~alone], runs.ends[~alone]
    before = np.maximum(others.starts[first] - starts, 0)
    after = np.maximum(ends - others.ends[last - 1], 0)
    total = np.concatenate([[0], np.cumsum(others.lengths)])
    outside = np.maximum(starts - others.starts[first], 0) + np.maximum(others.ends[last - 1] - ends, 0)
    covered = total[last] - total[first] - outside
    between = ends - starts - before - after - covered
    missed = runs.lengths[alone]
    return int(covered.sum()), int(missed.sum()), int(between.sum()), int(before.sum()), int(after.sum())
