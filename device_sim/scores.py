"""Window scores from label indices: accuracy, macro-F1, confusion, agreement, and intervals over subjects.

Scored windows are those whose truth is a class of the model; a window across a boundary has truth -1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int16]

BOOTSTRAP_DRAWS = 2000
BOOTSTRAP_SEED = 20261101
INTERVAL_PERCENT = (2.5, 97.5)


def confusion(truth: Labels, decided: Labels, classes: int) -> NDArray[np.int64]:
    """Return counts ``[classes, classes]``, truth down, decision across; windows with truth -1 are left out."""
    scored = truth >= 0
    cells = truth[scored].astype(np.int64) * classes + decided[scored]
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def accuracy(counts: NDArray[np.int64]) -> float | None:
    """Return the share on the diagonal of a confusion matrix; None when nothing was scored."""
    total = int(counts.sum())
    return None if total == 0 else float(np.trace(counts) / total)


def macro_f1(counts: NDArray[np.int64]) -> float | None:
    """Return the mean F1 over the classes that occur in the truth; None when nothing was scored.

    Source: Sokolova & Lapalme 2009, macro-averaging of per-class F-scores.
    """
    truth, decided, hits = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    present = truth > 0
    if not present.any():
        return None
    return float((2 * hits[present] / (truth[present] + decided[present])).mean())


def agreement(truth: Labels, decided: Labels, baseline: Labels) -> float | None:
    """Return the share of scored windows on which device and full-precision model decide alike."""
    scored = truth >= 0
    return None if not scored.any() else float((decided[scored] == baseline[scored]).mean())


def subject_interval(correct: Sequence[int], windows: Sequence[int]) -> tuple[float, float] | None:
    """Return the 95 % interval of a share, resampling whole subjects; None with fewer than two subjects.

    Windows of one person are not independent, people are: the interval says what other people would see.

    Args:
        correct: windows of each subject that count; for a drop, baseline's correct minus the device's.
        windows: scored windows of each subject.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap, section 13.3 (percentile interval, clusters).
    """
    numerator, denominator = np.asarray(correct, np.float64), np.asarray(windows, np.float64)
    people = np.flatnonzero(denominator > 0)
    if len(people) < 2:
        return None
    draws = np.random.default_rng(BOOTSTRAP_SEED).choice(people, (BOOTSTRAP_DRAWS, len(people)))
    shares = numerator[draws].sum(axis=1) / denominator[draws].sum(axis=1)
    low, high = np.percentile(shares, INTERVAL_PERCENT)
    return float(low), float(high)
