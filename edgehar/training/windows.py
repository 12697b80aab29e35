"""Labelled windows of continuous recordings: fixed ones to score on, shifting ones to train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.errors import DataError
from edgehar.heads import UNKNOWN, Task, check_names, window_truth
from edgehar.recording import Recording
from edgehar.signal import FrontEnd, NetworkInput, sliding_windows, window_starts
from edgehar.training.augment import draw_changes
from edgehar.training.batch_makers import Draw, batch_maker
from edgehar.training.config import TrainConfig
from edgehar.training.losses import balanced_answers, split_truth
from edgehar.training.samplers import ClassBatches, RandomBatches
from edgehar.training.turned_classes import turn_groups

HOST = torch.device("cpu")

CALIBRATION_WINDOWS = 1024


def recording_truth(
    recording: Recording, tasks: Sequence[Task], window: int, hop: int
) -> tuple[NDArray[np.int16], ...]:
    """Return the truth ``[N, W]`` of every window, for each head; -1 where it is unknown.

    Raises:
        DataError: the recording has no labels, or a wanted label is not among its label names.
    """
    where = f"recording {recording.name!r}"
    if recording.labels is None:
        raise DataError(f"{where} has no labels; training needs one a sample")
    check_names(tasks, recording.label_names, where)
    return tuple(window_truth(task, recording.labels, recording.label_names, window, hop) for task in tasks)


def scored_windows(
    recordings: Sequence[Recording], front_end: FrontEnd, config: TrainConfig
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Return the windows of which some head, or the embedding, knows the truth, in stream order.

    Returns:
        Front-end windows ``[N, window, F]``, and ``config.truths`` side by side ``[N, sum of W]``.
    """
    features, truth = [], []
    for recording in recordings:
        answers = np.concatenate(recording_truth(recording, config.truths, config.window, config.hop), axis=1)
        windows = sliding_windows(front_end.run(recording.samples), config.window, config.hop)
        known = (answers != UNKNOWN).any(axis=1)
        features.append(windows[known])
        truth.append(answers[known])
    return np.concatenate(features), np.concatenate(truth)


@dataclass(frozen=True)
class ShiftingWindow:
    """A training window that may start anywhere in ``first..last`` without another truth."""

    first: int
    last: int
    truth: tuple[int, ...]


def shifting_windows(truth_at: NDArray[np.int16], starts: NDArray[np.int64], shift: int) -> list[ShiftingWindow]:
    """Return one entry for every window with a known answer, with the room it has to move.

    Args:
        truth_at: ``[S, W]`` truth of a window at every sample it can start at.
        starts: where windows start.
        shift: samples; a window moves by up to half of it.
    """
    entries = []
    for start in starts.tolist():
        row = truth_at[start]
        if (row == UNKNOWN).all():
            continue
        low = max(0, start - shift // 2)
        other = np.flatnonzero((truth_at[low : start + shift // 2 + 1] != row).any(axis=1)) + low
        first = int(max(other[other < start], default=low - 1)) + 1
        last = int(min(other[other > start], default=min(start + shift // 2 + 1, len(truth_at)))) - 1
        entries.append(ShiftingWindow(first, last, tuple(row.tolist())))
    return entries


def calibration_choice(count: int, seed: int) -> NDArray[np.intp]:
    """Return which of ``count`` training windows tell the ranges of activations, in order: the same for each seed."""
    chosen: NDArray[np.intp] = np.sort(np.random.default_rng(seed).permutation(count)[:CALIBRATION_WINDOWS])
    return chosen


class TrainingBatches:
    """Batches of augmented, shifted windows; the same seed and epoch give the same batches on every machine.

    Iterating yields ``(each input [B, ...] float32, truth [B, W] int64)``, ``config.truths`` side by side. With an
    embedding the batches hold classes × samples as its configuration says, else windows in random order.
    Windows are cut from the raw samples with the front end's memory before them, changed, and then run through the
    front end, so training sees what the device computes. What is random is drawn on the host; on an accelerator the
    samples are resident and the windows are made there (:mod:`edgehar.training.batch_makers`).
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        front_end: FrontEnd,
        inputs: Sequence[NetworkInput],
        config: TrainConfig,
        device: torch.device = HOST,
    ) -> None:
        self._front_end = front_end
        self._config = config
        self._channels = recordings[0].channels
        samples = np.concatenate([r.samples for r in recordings])
        self._sample_count = len(samples)
        places: list[tuple[int, int, int]] = []
        truth: list[tuple[int, ...]] = []
        base = 0
        for recording in recordings:
            truth_at = np.concatenate(recording_truth(recording, config.truths, config.window, hop=1), axis=1)
            starts = window_starts(len(recording.samples), config.window, config.hop)
            found = shifting_windows(truth_at, starts, config.augmentation.shift)
            places += [(base, base + e.first, base + e.last) for e in found]
            truth += [e.truth for e in found]
            base += len(recording.samples)
        if len(places) < config.batch_size:
            raise DataError(
                f"{len(places)} training windows, expected at least one batch of {config.batch_size}; "
                "use more recordings, a smaller hop or batch_size, a shorter window, or a head whose purity is below 1"
            )
        self._base, self._first, self._last = np.asarray(places, np.int64).T
        self._truth = torch.tensor(truth, dtype=torch.int64, device=device)
        self._maker = batch_maker(samples, front_end, inputs, device)
        self._embedding = config.embedding
        self._batches = self._sampler(np.asarray(truth, np.int64))
        self.epoch = 0

    def _sampler(self, truth: NDArray[np.int64]) -> RandomBatches | ClassBatches:
        if not self._embedding.width:
            return RandomBatches(len(truth), self._config.batch_size)
        return ClassBatches(truth[:, -1], self._embedding.classes_per_batch, self._embedding.samples_per_class)

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self._batches)

    def answer_weights(self) -> tuple[Tensor | None, ...]:
        """Return what each head's answers count in its loss: balanced where its config says so, else None."""
        tasks = self._config.tasks
        columns = split_truth(self._config.truths, self._truth)[: len(tasks)]
        balanced = [head.balance for head in self._config.heads] or [False]
        return tuple(
            balanced_answers(task, truth) if balance else None
            for task, truth, balance in zip(tasks, columns, balanced, strict=True)
        )

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of ``self.epoch``."""
        rng = np.random.default_rng([self._config.seed, self.epoch])
        for chosen in self._batches.epoch(rng):
            draw, truth = self._draw(chosen, rng), self._truth[torch.from_numpy(chosen)]
            if self._embedding.width and self._embedding.turned:
                draw, truth = self._turned(draw, truth, rng)
            yield *self._maker.make(draw), truth

    def _turned(self, draw: Draw, truth: Tensor, rng: np.random.Generator) -> tuple[Draw, Tensor]:
        return turn_groups(
            draw,
            truth,
            group=self._embedding.samples_per_class,
            share=self._embedding.turned,
            classes=len(self._config.truths[-1].labels),
            channels=self._channels,
            rng=rng,
        )

    def _draw(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> Draw:
        """Draw places within the windows' room, and changes.

        What lies before a recording's first sample is that sample, as after the front end's reset.
        """
        config = self._config
        room = self._last[chosen] - self._first[chosen] + 1
        start = self._first[chosen] + (rng.random(len(chosen)) * room).astype(np.int64)
        steps = np.arange(-self._front_end.memory_samples, config.window)
        warp = config.augmentation.time_warp
        weight = None
        if not warp:
            index = np.maximum(start[:, None] + steps, self._base[chosen, None])
        else:
            speed = rng.uniform(1 - warp, 1 + warp, (len(chosen), 1))
            centre = config.window / 2
            place = start[:, None] + centre + (steps - centre) * speed
            place = np.clip(place, self._base[chosen, None], self._sample_count - 1.001)
            index = place.astype(np.int64)
            weight = (place - index).astype(np.float32)[..., None]
        return Draw(index, weight, draw_changes(len(chosen), self._channels, config.augmentation, rng))
