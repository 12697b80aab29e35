"""The loss of each head where its truth is known, and their weighted sum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from edgehar.heads import UNKNOWN, Task


def head_loss(task: Task, logits: Tensor, truth: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean loss over the known answers; 0 without gradient where none is known.

    Multiclass: cross-entropy. Binary and multilabel: binary cross-entropy of each known answer, whatever label it
    belongs to; smoothing draws yes and no towards one half, as it does with two classes.

    Args:
        task: the head.
        logits: ``[B, K]``.
        truth: ``[B, W]`` int64, -1 where unknown.
        label_smoothing: share 0..1 of the target that is spread evenly.

    Source: Szegedy et al., Rethinking the Inception Architecture, 2016, section 7 (label smoothing).
    """
    known = truth != UNKNOWN
    if not known.any():
        return logits.sum() * 0.0
    if task.kind == "multiclass":
        rows = known[:, 0]
        return functional.cross_entropy(logits[rows], truth[rows, 0], label_smoothing=label_smoothing)
    answers = truth[known].to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits[known], answers)


def split_truth(tasks: Sequence[Task], truth: Tensor) -> tuple[Tensor, ...]:
    """Return each head's columns of ``[B, sum of W]``."""
    return torch.split(truth, [task.columns for task in tasks], dim=1)


def weighted_loss(
    tasks: Sequence[Task],
    weights: Sequence[float],
    outputs: Sequence[Tensor],
    truth: Tensor,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the sum of the heads' losses, each times its weight.

    Args:
        tasks: the heads.
        weights: one a head.
        outputs: logits ``[B, K]`` of each head.
        truth: ``[B, sum of W]`` int64, the heads side by side, -1 where unknown.
        label_smoothing: see :func:`head_loss`.
    """
    columns = split_truth(tasks, truth)
    losses = [
        weight * head_loss(task, logits, column, label_smoothing)
        for task, weight, logits, column in zip(tasks, weights, outputs, columns, strict=True)
    ]
    return torch.stack(losses).sum()
