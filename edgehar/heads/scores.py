"""How right a head's answers are, where its truth is known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.heads.answers import UNKNOWN
from edgehar.heads.task import Task

I16 = NDArray[np.int16]


@dataclass(frozen=True)
class LabelScores:
    """One label against the rest. Shares are None where nothing could be counted.

    Attributes:
        label: its name.
        windows: whose truth for this label is known.
        positives: of them, those that carry it.
        precision, recall, f1: of "yes".
        balanced_accuracy: mean of the shares of "yes" and of "no" that were found.
    """

    label: str
    windows: int
    positives: int
    precision: float | None
    recall: float | None
    f1: float | None
    balanced_accuracy: float | None


@dataclass(frozen=True)
class HeadScores:
    """One head.

    Attributes:
        windows: with at least one known answer.
        accuracy: share of the known answers that are right (a multilabel window has several).
        macro_f1: mean F1 over what occurs in the truth: classes (multiclass), no and yes (binary), labels with a
            known "yes" (multilabel).
        labels: each label.
    """

    windows: int
    accuracy: float | None
    macro_f1: float | None
    labels: tuple[LabelScores, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {**asdict(self), "labels": [asdict(label) for label in self.labels]}


def score_head(task: Task, truth: I16, decided: I16) -> HeadScores:
    """Return the scores of answers ``[N, W]`` against truth ``[N, W]``, -1 where unknown.

    Source: Sokolova & Lapalme 2009, macro-averaging of per-class F-scores.
    """
    known = truth != UNKNOWN
    labels = tuple(_score_label(task, i, truth, decided) for i in range(len(task.labels)))
    f1 = [label.f1 for label in labels if label.positives]
    if task.kind == "binary" and labels[0].positives < labels[0].windows:
        f1.append(_f1(truth[known] == 0, decided[known] == 0))
    right = known & (truth == decided)
    counted = [value for value in f1 if value is not None]
    return HeadScores(
        windows=int(known.any(axis=1).sum()),
        accuracy=_share(int(right.sum()), int(known.sum())),
        macro_f1=float(np.mean(counted)) if counted else None,
        labels=labels,
    )


def share_alike(truth: I16, decided: I16, other: I16) -> float | None:
    """Return the share of known answers on which two deciders agree; None when none is known."""
    known = truth != UNKNOWN
    return _share(int((known & (decided == other)).sum()), int(known.sum()))


def _score_label(task: Task, index: int, truth: I16, decided: I16) -> LabelScores:
    column = 0 if task.kind == "multiclass" else index
    yes = index if task.kind == "multiclass" else 1
    known = truth[:, column] != UNKNOWN
    wanted, found = truth[known, column] == yes, decided[known, column] == yes
    positives, hits = int(wanted.sum()), int((wanted & found).sum())
    recall = _share(hits, positives)
    specificity = _share(int((~wanted & ~found).sum()), len(wanted) - positives)
    return LabelScores(
        label=task.labels[index],
        windows=len(wanted),
        positives=positives,
        precision=_share(hits, int(found.sum())),
        recall=recall,
        f1=_f1(wanted, found),
        balanced_accuracy=None if recall is None or specificity is None else (recall + specificity) / 2,
    )


def _f1(wanted: NDArray[np.bool_], found: NDArray[np.bool_]) -> float | None:
    return _share(2 * int((wanted & found).sum()), int(wanted.sum()) + int(found.sum()))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
