"""Labelled windows of continuous recordings: fixed ones to score on, shifting ones to train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.errors import DataError
from edgehar.recording import UNLABELLED, Recording
from edgehar.signal import FrontEnd, sliding_windows, window_labels, window_starts
from edgehar.training.augment import augment
from edgehar.training.config import TrainConfig


def class_labels(recording: Recording, labels: Sequence[str]) -> NDArray[np.int16]:
    """Return ``[T]`` labels as indices into ``labels``; -1 for every other activity.

    Raises:
        DataError: the recording has no labels, or a wanted label is not among its label names.
    """
    if recording.labels is None:
        raise DataError(f"recording {recording.name!r} has no labels; training needs one a sample")
    unknown = [name for name in labels if name not in recording.label_names]
    if unknown:
        raise DataError(
            f"label {unknown[0]!r} is not in the data; recording {recording.name!r} has "
            f"{', '.join(recording.label_names)}"
        )
    table = np.full(len(recording.label_names) + 1, UNLABELLED, np.int16)  # the last entry catches index -1
    for index, name in enumerate(labels):
        table[recording.label_names.index(name)] = index
    return table[recording.labels]


def scored_windows(
    recordings: Sequence[Recording], front_end: FrontEnd, config: TrainConfig
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Return features ``[N, window, F]`` and labels ``[N]`` of all windows that carry one label, in stream order."""
    features, truth = [], []
    for recording in recordings:
        labels = window_labels(class_labels(recording, config.labels), config.window, config.hop)
        windows = sliding_windows(front_end.run(recording.samples), config.window, config.hop)
        features.append(windows[labels != UNLABELLED])
        truth.append(labels[labels != UNLABELLED])
    return np.concatenate(features), np.concatenate(truth)


@dataclass(frozen=True)
class ShiftingWindow:
    """A training window that may start anywhere in ``first..last`` without leaving its activity."""

    first: int
    last: int
    label: int


def shifting_windows(labels: NDArray[np.int16], window: int, hop: int, shift: int) -> list[ShiftingWindow]:
    """Return one entry for every scored window of ``[T]`` labels, with the room it has to move."""
    pure_at = window_labels(labels, window, 1)
    entries = []
    for start in window_starts(len(labels), window, hop):
        label = int(pure_at[start])
        if label == UNLABELLED:
            continue
        low = max(0, int(start) - shift // 2)
        room = np.flatnonzero(pure_at[low : int(start) + shift // 2 + 1] == label) + low
        entries.append(ShiftingWindow(int(room[0]), int(room[-1]), label))
    return entries


class TrainingBatches:
    """Batches of augmented, shifted windows; the same seed and epoch give the same batches on every machine.

    Iterating yields ``(features [B, window, F] float32, labels [B] int64)``. Windows are cut from the raw samples
    with the front end's memory before them, changed, and then run through the front end, so training sees what the
    device computes.
    """

    def __init__(self, recordings: Sequence[Recording], front_end: FrontEnd, config: TrainConfig) -> None:
        self._front_end = front_end
        self._config = config
        self._channels = recordings[0].channels
        self._samples = np.concatenate([r.samples for r in recordings])
        entries: list[tuple[int, int, int, int]] = []
        base = 0
        for recording in recordings:
            labels = class_labels(recording, config.labels)
            found = shifting_windows(labels, config.window, config.hop, config.augmentation.shift)
            entries += [(base, base + e.first, base + e.last, e.label) for e in found]
            base += len(recording.samples)
        if len(entries) < config.batch_size:
            raise DataError(
                f"{len(entries)} training windows, expected at least one batch of {config.batch_size}; "
                "use more recordings, a smaller hop or a smaller batch_size"
            )
        self._base, self._first, self._last, self._labels = np.asarray(entries, np.int64).T
        self.epoch = 0

    def __len__(self) -> int:
        """Batches an epoch; the odd rest is left to another epoch's shuffle."""
        return len(self._first) // self._config.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of ``self.epoch``."""
        rng = np.random.default_rng([self._config.seed, self.epoch])
        size = self._config.batch_size
        order = rng.permutation(len(self._first))
        for batch in range(len(self)):
            chosen = order[batch * size : (batch + 1) * size]
            features = self._front_end.run(self._raw(chosen, rng))[:, self._front_end.memory_samples :]
            yield torch.from_numpy(np.ascontiguousarray(features)), torch.from_numpy(self._labels[chosen])

    def _raw(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """Raw windows ``[B, memory + window, C]`` at random places within their room.

        What lies before a recording's first sample is that sample, as after the front end's reset.
        """
        config = self._config
        room = self._last[chosen] - self._first[chosen] + 1
        start = self._first[chosen] + (rng.random(len(chosen)) * room).astype(np.int64)
        steps = np.arange(-self._front_end.memory_samples, config.window)
        warp = config.augmentation.time_warp
        if not warp:
            index = np.maximum(start[:, None] + steps, self._base[chosen, None])
            raw = self._samples[index]
        else:
            speed = rng.uniform(1 - warp, 1 + warp, (len(chosen), 1))
            centre = config.window / 2
            place = start[:, None] + centre + (steps - centre) * speed
            place = np.clip(place, self._base[chosen, None], len(self._samples) - 1.001)
            left = place.astype(np.int64)
            weight = (place - left).astype(np.float32)[..., None]
            raw = self._samples[left] * (1 - weight) + self._samples[left + 1] * weight
        return augment(raw, self._channels, config.augmentation, rng)
