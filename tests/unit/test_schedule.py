"""Learning rate and averages of the weights, step by step."""

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from edgehar.training.schedule import WeightAverage, moving_average, tail_mean, warmup_cosine


def averaged(update, values):
    mean = [torch.zeros(2), torch.tensor([1.0])]
    for n, value in enumerate(values):
        update(mean, [torch.full((2,), value), torch.tensor([value])], n)
    return float(mean[0][0])


def test_tail_mean_is_the_mean_of_the_last_steps():
    values = [9.0, -4.0, 7.0, 1.0, 2.0, 6.0]
    assert averaged(tail_mean(3), values) == pytest.approx((1 + 2 + 6) / 3)
    assert averaged(tail_mean(0), values) == pytest.approx(sum(values) / 6)
    assert averaged(tail_mean(5), values) == pytest.approx(6.0)


def test_moving_average_forgets_and_decay_zero_keeps_the_last():
    values = [1.0] * 5 + [0.0]
    assert averaged(moving_average(0.0), values) == 0.0
    assert averaged(moving_average(0.9), values) == pytest.approx(0.4, abs=0.05)  # (1 + 5) / (10 + 5)


def test_counters_are_copied():
    counters = [torch.tensor(3)]
    moving_average(0.9)(counters, [torch.tensor(8)], 4)
    assert int(counters[0]) == 8


def test_warmup_cosine_rises_falls_and_may_hold():
    factor = warmup_cosine(100, 0.05)
    assert factor(0) == pytest.approx(0.2)
    assert factor(5) > 0.99
    assert factor(50) == pytest.approx(0.5)
    assert factor(100) == pytest.approx(0.0, abs=1e-12)
    held = warmup_cosine(100, 0.05, hold=0.75)
    assert held(74) == factor(74)
    assert held(99) == held(75) == factor(75)


def test_weight_average_holds_weights_and_statistics_and_survives_saving():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    ours = WeightAverage(network, moving_average(0.9))
    torchs = AveragedModel(network, multi_avg_fn=moving_average(0.9), use_buffers=True)
    for step in range(6):
        with torch.no_grad():
            network(torch.randn(8, 3))
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight))
        if step == 3:  # as a resumed run does
            saved = ours.state_dict()
            ours = WeightAverage(network, moving_average(0.9))
            ours.load_state_dict(saved)
        ours.update_parameters(network)
        torchs.update_parameters(network)
    expected = torchs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in ours.state_dict().items())
