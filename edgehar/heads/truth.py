"""The truth of a window for one head.

1. A sample's label means one class of a multiclass head, or yes or no to each label of the others, by the head's
   groups; a label outside them, and an unlabelled sample, is unknown.
2. A window's truth is the class (or yes, or no) that the largest share of its samples means, if that share is at
   least the head's purity; otherwise unknown. With purity 1 all samples agree. Of equal shares at purity 0.5, yes
   goes before no, and an earlier class before a later one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.heads.answers import UNKNOWN
from edgehar.heads.task import Task, label_sources
from edgehar.signal import window_labels, window_starts

I16 = NDArray[np.int16]


def check_names(tasks: Sequence[Task], label_names: Sequence[str], where: str) -> None:
    """Check that the data know every label the tasks ask for.

    Raises:
        DataError: one is missing.
    """
    for name in label_sources(tasks):
        if name not in label_names:
            raise DataError(f"label {name!r} is not in the data; {where} has {', '.join(label_names)}")


def sample_truth(task: Task, labels: I16, label_names: Sequence[str]) -> I16:
    """Return ``[T, W]`` truth of samples whose labels ``[T]`` are indices into ``label_names``, -1 unlabelled."""
    table = np.full((len(label_names) + 1, task.columns), UNKNOWN, np.int16)  # the last row catches index -1
    for i, label in enumerate(task.labels):
        yes = task.sources(label)
        if task.kind == "multiclass":
            _put(table[:, 0], label_names, yes, i)
            continue
        no = task.refusals(label)
        _put(table[:, i], label_names, [n for n in label_names if n not in yes] if no is None else no, 0)
        _put(table[:, i], label_names, yes, 1)
    return np.stack([column[labels] for column in table.T], axis=1)


def _put(column: I16, label_names: Sequence[str], names: Sequence[str], value: int) -> None:
    for name in names:
        if name in label_names:
            column[label_names.index(name)] = value


def window_truth(task: Task, labels: I16, label_names: Sequence[str], window: int, hop: int) -> I16:
    """Return ``[N, W]`` truth of the windows at 0, hop, 2 hop, ... over samples with labels ``[T]``."""
    return agreed_truth(task, sample_truth(task, labels, label_names), window, hop)


def agreed_truth(task: Task, samples: I16, window: int, hop: int) -> I16:
    """Return ``[N, W]`` truth of windows over samples with truth ``[T, W]``; rule 2 above."""
    columns = [_window_column(task, np.ascontiguousarray(column), window, hop) for column in samples.T]
    return np.stack(columns, axis=1)


def _window_column(task: Task, samples: I16, window: int, hop: int) -> I16:
    if task.purity == 1:
        return window_labels(samples, window, hop)
    starts = window_starts(len(samples), window, hop)
    values = np.arange(len(task.labels), dtype=np.int16) if task.kind == "multiclass" else np.array([1, 0], np.int16)
    counts = np.empty((len(values), len(starts)), np.int64)
    for i, value in enumerate(values):
        seen = np.concatenate([[0], np.cumsum(samples == value)])
        counts[i] = seen[starts + window] - seen[starts]
    agreed = counts.max(axis=0) >= task.purity * window - 1e-9  # 0.7 * 10 is a little more than 7
    return np.where(agreed, values[counts.argmax(axis=0)], np.int16(UNKNOWN)).astype(np.int16)
