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
        answer_weights: ``[2, K]`` weight of a no and of a yes to each label of a binary or multilabel head
            (:func:`balanced_answers`); None where all count alike.

    Source: Szegedy et al., Rethinking the Inception Architecture, 2016, section 7 (label smoothing).
    """
    known = truth != UNKNOWN
    if not known.any():
        return logits.sum() * 0.0
    if task.kind == "multiclass":
        rows = known[:, 0]
        return functional.cross_entropy(logits[rows], truth[rows, 0], label_smoothing=label_smoothing)
    answers = truth[known].to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    if answer_weights is None:
        return functional.binary_cross_entropy_with_logits(logits[known], answers)
    weights = answer_weights.gather(0, truth.clamp(min=0))[known]
    losses = functional.binary_cross_entropy_with_logits(logits[known], answers, reduction="none")
    return (weights * losses).sum() / weights.sum()


def balanced_answers(truth: Tensor) -> Tensor:
    """Return weights ``[2, K]`` under which the known no and yes of each label weigh the same; their mean is 1.

    A label of which only no, or only yes, is known has nothing to balance: its answers weigh 1.

    Args:
        truth: ``[N, K]`` of the training examples, -1 where unknown.

    Source: the instance weights of Vaizman et al., Context Recognition In-the-Wild, 2018.
    """
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
