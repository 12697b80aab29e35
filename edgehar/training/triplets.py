"""Triplet loss on embeddings of unit length, and the miners that choose a batch's triplets.

A triplet is an anchor, a positive of its class and a negative of another. Distances are squared Euclidean, which on
the unit sphere is ``2 - 2 cos``. Most random triplets of a network that has learnt a little cost nothing and teach
nothing; ``semi_hard`` and ``hard`` look inside the batch for those that do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from edgehar.heads import UNKNOWN

Triplets = tuple[Tensor, Tensor, Tensor]  # rows of anchors, positives, negatives: int64, equally many


def squared_distances(embeddings: Tensor) -> Tensor:
    """Return ``[B, B]`` squared distances of embeddings ``[B, E]`` of unit length."""
    return (2 - 2 * embeddings @ embeddings.T).clamp(min=0)


def _pairs(classes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return every ordered pair of two windows of a class, and ``[P, B]``: which windows are of another class."""
    alike = classes[:, None] == classes
    anchors, positives = (alike & ~torch.eye(len(classes), dtype=torch.bool, device=classes.device)).nonzero().T
    return anchors, positives, ~alike[anchors]


def random_triplets(distances: Tensor, classes: Tensor) -> Triplets:
    """Every pair of a class with a negative drawn at random: the line that mining is measured against."""
    anchors, positives, negative = _pairs(classes)
    drawn = torch.rand(negative.shape, device=distances.device) * negative
    return anchors, positives, drawn.argmax(dim=1)


def semi_hard_triplets(distances: Tensor, classes: Tensor) -> Triplets:
    """Every pair of a class with the nearest negative that is farther than the positive; else the farthest negative.

    Source: Schroff et al., FaceNet, 2015, section 3.2.
    """
    anchors, positives, negative = _pairs(classes)
    found = distances[anchors]
    farther = negative & (found > distances[anchors, positives][:, None])
    nearest = found.masked_fill(~farther, torch.inf).argmin(dim=1)
    farthest = found.masked_fill(~negative, -torch.inf).argmax(dim=1)
    return anchors, positives, torch.where(farther.any(dim=1), nearest, farthest)


def hard_triplets(distances: Tensor, classes: Tensor) -> Triplets:
    """Every anchor with its farthest positive and its nearest negative.

    Source: Hermans et al., In Defense of the Triplet Loss for Person Re-Identification, 2017 ("batch hard").
    """
    alike = classes[:, None] == classes
    anchors = ((alike.sum(dim=1) > 1) & (~alike).any(dim=1)).nonzero()[:, 0]
    farthest = distances.masked_fill(~alike, -torch.inf).argmax(dim=1)
    nearest = distances.masked_fill(alike, torch.inf).argmin(dim=1)
    return anchors, farthest[anchors], nearest[anchors]


MINERS: Mapping[str, Callable[[Tensor, Tensor], Triplets]] = {
    "random": random_triplets,
    "semi_hard": semi_hard_triplets,
    "hard": hard_triplets,
}


def triplet_loss(embeddings: Tensor, classes: Tensor, margin: float, mining: str) -> Tensor:
    """Return the mean of ``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` over the mined triplets.

    Args:
        embeddings: ``[B, E]`` of unit length.
        classes: ``[B]`` int64, -1 where unknown: such rows are in no triplet.
        margin: by how much a negative has to be farther, of a squared distance of at most 4.
        mining: key of ``MINERS``.

    Returns:
        0 without gradient where the batch has no triplet.
    """
    known = classes != UNKNOWN
    embeddings, classes = embeddings[known], classes[known]
    if len(classes.unique()) < 2:
        return embeddings.sum() * 0.0
    distances = squared_distances(embeddings)
    anchors, positives, negatives = MINERS[mining](distances.detach(), classes)
    if len(anchors) == 0:
        return embeddings.sum() * 0.0
    return functional.relu(distances[anchors, positives] - distances[anchors, negatives] + margin).mean()
