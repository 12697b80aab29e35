"""Losses of several heads against values worked out by hand; what is unknown moves nothing."""

import math

import pytest
import torch

from edgehar.heads import Task
from edgehar.training.losses import head_loss, weighted_loss

ACTIVITY = Task("activity", "multiclass", ("a", "b"))
MOVING = Task("moving", "binary", ("moving",))
SEVERAL = Task("several", "multilabel", ("x", "y"))


def _softplus(x):
    return math.log1p(math.exp(x))


def test_cross_entropy_of_the_known_rows():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [9.0, -9.0]])
    truth = torch.tensor([[0], [0], [-1]])
    assert head_loss(ACTIVITY, logits, truth).item() == pytest.approx((_softplus(-2) + _softplus(1)) / 2)


def test_binary_cross_entropy_of_the_known_answers():
    logits = torch.tensor([[2.0, -1.0], [0.5, 7.0]])
    truth = torch.tensor([[1, 0], [0, -1]])
    expected = (_softplus(-2) + _softplus(-1) + _softplus(0.5)) / 3
    assert head_loss(SEVERAL, logits, truth).item() == pytest.approx(expected)
    smoothed = head_loss(MOVING, torch.tensor([[2.0]]), torch.tensor([[1]]), label_smoothing=0.1).item()
    assert smoothed == pytest.approx(0.95 * _softplus(-2) + 0.05 * _softplus(2))


def test_smoothing_treats_binary_as_two_classes():
    two = head_loss(ACTIVITY, torch.tensor([[0.0, 1.5]]), torch.tensor([[1]]), label_smoothing=0.2)
    one = head_loss(MOVING, torch.tensor([[1.5]]), torch.tensor([[1]]), label_smoothing=0.2)
    assert one.item() == pytest.approx(two.item())


def test_unknown_answers_have_exactly_zero_gradient():
    tasks = (ACTIVITY, MOVING, SEVERAL)
    outputs = [torch.randn(3, len(t.labels), generator=torch.Generator().manual_seed(i)) for i, t in enumerate(tasks)]
    for logits in outputs:
        logits.requires_grad_()
    truth = torch.tensor([[0, 1, 1, -1], [-1, 0, -1, -1], [1, -1, -1, 0]])
    weighted_loss(tasks, (1.0, 1.0, 1.0), outputs, truth, 0.1).backward()
    activity, moving, several = (logits.grad for logits in outputs)
    assert (activity[1] == 0).all()
    assert (activity[[0, 2]] != 0).all()
    assert moving[:, 0].ne(0).tolist() == [True, True, False]
    assert several.ne(0).tolist() == [[True, False], [False, False], [False, True]]


def test_a_head_of_which_nothing_is_known_adds_nothing():
    logits = torch.ones(2, 2, requires_grad=True)
    loss = head_loss(ACTIVITY, logits, torch.full((2, 1), -1))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_heads_are_summed_by_weight():
    outputs = [torch.tensor([[1.0, 0.0]]), torch.tensor([[-0.5]])]
    truth = torch.tensor([[0, 1]])
    expected = 2 * _softplus(-1) + 0.25 * _softplus(0.5)
    assert weighted_loss((ACTIVITY, MOVING), (2.0, 0.25), outputs, truth).item() == pytest.approx(expected)
