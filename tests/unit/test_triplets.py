"""The triplet loss by hand, and what each miner promises about its triplets."""

import pytest
import torch
from torch.nn import functional

from edgehar.training.config import MININGS
from edgehar.training.triplets import MINERS, squared_distances, triplet_loss


def on_circle(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_config_and_miners_know_the_same_names():
    assert tuple(MINERS) == MININGS


def test_distances_are_squared_euclidean():
    x = functional.normalize(torch.randn(6, 5, dtype=torch.float64), dim=1)
    assert torch.allclose(squared_distances(x), torch.cdist(x, x).square(), atol=1e-12)


@pytest.mark.parametrize("mining", MININGS)
def test_loss_by_hand(mining):
    """Two of class 0 at right angles, one of class 1 opposite the first: every miner has the same triplets."""
    x, classes = on_circle(0, 90, 180), torch.tensor([0, 0, 1])
    # d(0, 1) = 2; the negative is at d = 4 of the first and d = 2 of the second
    expected = (max(0, 2 - 4 + 0.5) + max(0, 2 - 2 + 0.5)) / 2
    assert triplet_loss(x, classes, 0.5, mining).item() == pytest.approx(expected)


@pytest.mark.parametrize("mining", MININGS)
def test_triplets_are_what_they_are_called(mining):
    torch.manual_seed(1)
    x, classes = functional.normalize(torch.randn(40, 8), dim=1), torch.arange(40) % 5
    distances = squared_distances(x)
    anchors, positives, negatives = MINERS[mining](distances, classes)
    assert len(anchors) == (40 if mining == "hard" else 40 * 7)
    assert (classes[anchors] == classes[positives]).all()
    assert (anchors != positives).all()
    assert (classes[anchors] != classes[negatives]).all()


def test_semi_hard_takes_the_nearest_negative_beyond_the_positive():
    x, classes = on_circle(0, 40, 20, 60, 100), torch.tensor([0, 0, 1, 1, 1])
    anchors, positives, negatives = MINERS["semi_hard"](squared_distances(x), classes)
    chosen = {(a, p): n for a, p, n in zip(anchors.tolist(), positives.tolist(), negatives.tolist(), strict=True)}
    assert chosen[0, 1] == 3  # 20° is nearer than the positive at 40°, 60° is the next
    assert chosen[1, 0] == 4  # from 40°, the positive is 40° away: 20° and 60° are nearer, 100° is 60° away
    assert chosen[2, 4] in (0, 1)  # nothing of class 0 is farther than 80° from 20°: the farthest


def test_hard_takes_the_farthest_positive_and_the_nearest_negative():
    x, classes = on_circle(0, 40, 10, 90), torch.tensor([0, 0, 0, 1])
    anchors, positives, negatives = MINERS["hard"](squared_distances(x), classes)
    assert anchors.tolist() == [0, 1, 2]  # the only one of class 1 has no positive
    assert positives.tolist() == [1, 0, 1]
    assert negatives.tolist() == [3, 3, 3]


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("classes", [[0, 0, 0], [0, 1, 2], [-1, -1, 0], [0, 0, -1]])
def test_without_triplets_nothing_is_learned(mining, classes):
    x = on_circle(0, 10, 20).requires_grad_()
    loss = triplet_loss(x, torch.tensor(classes), 0.2, mining)
    loss.backward()
    assert loss.item() == 0
    assert x.grad.abs().sum() == 0


def test_unknown_rows_change_nothing():
    x, classes = on_circle(0, 30, 50, 200, 10), torch.tensor([0, 0, 1, 1, -1])
    assert triplet_loss(x, classes, 0.3, "hard") == triplet_loss(x[:4], classes[:4], 0.3, "hard")


def test_semi_hard_costs_more_than_random_where_classes_are_apart():
    torch.manual_seed(2)
    centres = functional.normalize(torch.randn(8, 16), dim=1).repeat_interleave(6, 0)
    x, classes = functional.normalize(centres + 0.1 * torch.randn(48, 16), dim=1), torch.arange(8).repeat_interleave(6)
    losses = {name: triplet_loss(x, classes, 1.5, name).item() for name in MININGS}
    assert losses["random"] < losses["semi_hard"] < losses["hard"]
