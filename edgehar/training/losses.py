"""The loss of each head where its truth is known, and their weighted sum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from edgehar.heads import UNKNOWN, Task


def head_loss(
    task: Task, logits: Tensor, truth: Tensor, label_smoothing: float = 0.0, answer_weights: Tensor | None = None
) -> Tensor:
    """Return the mean loss over the known answers; 0 without gradient where none is known.

    Multiclass: cross-entropy. Binary and multilabel: binary cross-entropy of each known answer, whatever label it
    belongs to; smoothing draws yes and no towards one half, as it does with two classes.

    Args:
        task: the head.
        logits: ``[B, K]``.
        truth: ``[B, W]`` int64, -1 where unknown.
        label_smoothing: share 0..1 of the target that is spread evenly.
        answer_weights: what each answer counts (:func:`balanced_answers`): ``[K]`` classes of a multiclass head,
            ``[2, K]`` no and yes to each label of the others; None where all count alike.

    Source: Szegedy et al., Rethinking the Inception Architecture, 2016, section 7 (label smoothing).
    """
    known = truth != UNKNOWN
    if not known.any():
        return logits.sum() * 0.0
    if task.kind == "multiclass":
        rows = known[:, 0]
        return functional.cross_entropy(
            logits[rows], truth[rows, 0], weight=answer_weights, label_smoothing=label_smoothing
        )
    answers = truth[known].to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    if answer_weights is None:
        return functional.binary_cross_entropy_with_logits(logits[known], answers)
    weights = answer_weights.gather(0, truth.clamp(min=0))[known]
    losses = functional.binary_cross_entropy_with_logits(logits[known], answers, reduction="none")
    return (weights * losses).sum() / weights.sum()


def balanced_answers(task: Task, truth: Tensor) -> Tensor:
    """Return weights under which each class, or no and yes of each label, weighs the same; their mean is 1.

    A class that never occurs has weight 0. A label of which only no, or only yes, is known has nothing to balance: its
    answers weigh 1.

    Args:
        task: the head.
        truth: ``[N, W]`` of the training windows, -1 where unknown.

    Returns:
        ``[K]`` of a multiclass head, ``[2, K]`` of the others.

    Source: the instance weights of Vaizman et al., Context Recognition In-the-Wild, 2018.
    """
    if task.kind == "multiclass":
        counts = torch.bincount(truth[truth != UNKNOWN], minlength=len(task.labels)).to(torch.float32)
        return counts.sum() / ((counts > 0).sum() * counts.clamp(min=1)) * (counts > 0)
    counts = torch.stack([(truth == answer).sum(dim=0) for answer in (0, 1)]).to(torch.float32)
    known = counts.sum(dim=0)
    return torch.where((counts > 0).all(dim=0), known / (2 * counts.clamp(min=1)), 1.0)


def split_truth(tasks: Sequence[Task], truth: Tensor) -> tuple[Tensor, ...]:
    """Return each head's columns of ``[B, sum of W]``."""
    return torch.split(truth, [task.columns for task in tasks], dim=1)


def weighted_loss(
    tasks: Sequence[Task],
    weights: Sequence[float],
    outputs: Sequence[Tensor],
    truth: Tensor,
    label_smoothing: float = 0.0,
    *,
    answer_weights: Sequence[Tensor | None] = (),
) -> Tensor:
    """Return the sum of the heads' losses, each times its weight.

    Args:
        tasks: the heads.
        weights: one a head.
        outputs: logits ``[B, K]`` of each head.
        truth: ``[B, sum of W]`` int64, the heads side by side, -1 where unknown.
        label_smoothing: see :func:`head_loss`.
        answer_weights: of each head, see :func:`head_loss`; () where all answers count alike.
    """
    columns = split_truth(tasks, truth)
    balances = answer_weights or [None] * len(tasks)
    losses = [
        weight * head_loss(task, logits, column, label_smoothing, balance)
        for task, weight, logits, column, balance in zip(tasks, weights, outputs, columns, balances, strict=True)
    ]
    return torch.stack(losses).sum()
