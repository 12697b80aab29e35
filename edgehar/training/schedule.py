"""How the learning rate and the averaged weights move, step by step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

TensorList = tuple[Tensor, ...] | list[Tensor]
Average = Callable[[TensorList, TensorList, Tensor | int], None]  # torch's multi_avg_fn

TAIL_BEGINS = 0.75  # share of the steps after which the average "tail" begins and the learning rate stays


def warmup_cosine(total_steps: int, warmup: float, hold: float = 1.0) -> Callable[[int], float]:
    """Return the factor of the learning rate at a step: linear over the share ``warmup``, times a cosine to zero.

    From the share ``hold`` on, the factor stays as it is there.
    """
    warmup_steps = max(1, round(warmup * total_steps))

    def factor(step: int) -> float:
        share = min(hold, step / total_steps)
        return min(1.0, (step + 1) / warmup_steps) * 0.5 * (1 + math.cos(math.pi * share))

    return factor


def moving_average(decay: float) -> Average:
    """Exponential moving average whose memory grows with the steps taken, so that short runs are averaged too.

    Source: the decay ``min(decay, (1 + n) / (10 + n))`` after n updates, as TensorFlow's ExponentialMovingAverage.
    """
    return _average_with(lambda n: 1 - min(decay, (1 + n) / (10 + n)))


def tail_mean(first: int) -> Average:
    """Mean of the weights after each step from ``first`` on; before, the newest weights.

    Source: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, 2018 (SWA). Batch norm's
    statistics are averaged like the weights instead of being computed anew.
    """
    return _average_with(lambda n: 1 / (max(n - first, 0) + 1))


AVERAGES: dict[str, Callable[[float, int], Average]] = {  # by name: of a decay and the step where the tail begins
    "ema": lambda decay, _: moving_average(decay),
    "tail": lambda _, first: tail_mean(first),
}


class WeightAverage(AveragedModel):
    """A network's averaged copy, batch norm's statistics included: they belong to the weights.

    It looks the tensors up once; to walk through both networks every step took longer than to average them.
    """

    def __init__(self, network: nn.Module, average: Average) -> None:
        super().__init__(network, multi_avg_fn=average, use_buffers=True)
        self._groups: list[tuple[list[Tensor], list[Tensor]]] = []

    def update_parameters(self, model: nn.Module) -> None:
        """Move towards the weights of ``model``, always the same one and on one device from the first update on."""
        if not self._groups:
            pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
            for floating in (True, False):
                group = [pair for pair in pairs if pair[0].is_floating_point() == floating]
                if group:
                    self._groups.append(([mine for mine, _ in group], [theirs for _, theirs in group]))
        updates = int(self.n_averaged)
        for mine, theirs in self._groups:
            if updates:
                self.multi_avg_fn(mine, theirs, updates)  # type: ignore[misc]  # given above
            else:
                torch._foreach_copy_(mine, theirs)
        self.n_averaged += 1


def _tensors(network: nn.Module) -> list[Tensor]:
    return [each.detach() for each in itertools.chain(network.parameters(), network.buffers())]


def _average_with(weight_of: Callable[[int], float]) -> Average:
    """Return an update that moves the average by ``weight_of(updates so far)`` of the way to the new weights."""

    @torch.no_grad()
    def update(averaged: TensorList, current: TensorList, updates: Tensor | int) -> None:
        weight = weight_of(int(updates))
        if averaged[0].is_floating_point():  # torch hands over one type at a time
            torch._foreach_lerp_(averaged, current, weight)
        else:  # batch norm's step counters
            torch._foreach_copy_(averaged, current)

    return update
