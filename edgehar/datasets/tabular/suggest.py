"""What training should be told about a data set: a window that its activities fill, a batch that its windows fill.

Where activities are shorter than any window, a window has the label that at least half of its samples carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgehar.recording import UNLABELLED, Recording
from edgehar.signal import window_starts

WINDOWS_S = (2.56, 1.92, 1.44)
SMALLEST_WINDOW = 72  # samples: what the default model's kernels and strides need
MAJORITY = 0.5  # of a window's samples, where activities are shorter than any window
ENOUGH = 40  # windows of each activity
BATCHES = (128, 64, 32, 16, 8)
BATCHES_AN_EPOCH = 8


def window_samples(seconds: float, rate_hz: float) -> int:
    """Return the number of samples next to ``seconds``, a multiple of 8."""
    return max(SMALLEST_WINDOW, 8 * round(seconds * rate_hz / 8))


def windows_of(recordings: Sequence[Recording], window: int, hop: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return how many windows of a single activity there are, by label."""
    counts = np.zeros(len(recordings[0].label_names), np.int64)
    for recording in recordings:
        starts = window_starts(len(recording.samples), window, hop)
        if recording.labels is None or not len(starts):
            continue
        changes = np.concatenate([[0], np.cumsum(np.diff(recording.labels) != 0)])
        pure = changes[starts] == changes[starts + window - 1]
        labels = recording.labels[starts[pure]]
        counts += np.bincount(labels[labels != UNLABELLED], minlength=len(counts))
    return counts


def training_keys(recordings: Sequence[Recording], test_subjects: Sequence[str], validation: int) -> dict[str, Any]:
    """Return the keys of a training config that follow from the data."""
    training = [r for r in recordings if r.subject not in test_subjects] or list(recordings)
    rate_hz = recordings[0].rate_hz
    for seconds in WINDOWS_S:
        window = window_samples(seconds, rate_hz)
        counts = windows_of(training, window, window // 2)
        if counts.min(initial=0) >= ENOUGH:
            break
    hop, head = window // 2, {}
    if counts.min(initial=0) < ENOUGH:
        names = recordings[0].label_names
        hop = window // 4
        head = {"heads": [{"name": "activity", "kind": "multiclass", "labels": list(names), "purity": MAJORITY}]}
        counts = np.array([sum(len(window_starts(len(r.samples), window, hop)) for r in training)])
    wanted = int(counts.sum()) // BATCHES_AN_EPOCH
    batch = next((size for size in BATCHES if size <= wanted), BATCHES[-1])
    return {"window": window, "hop": hop, "batch_size": batch, "validation_subjects": validation, **head}
