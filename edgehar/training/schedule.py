"""How the learning rate and the averaged weights move, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

TensorList = tuple[Tensor, ...] | list[Tensor]


def warmup_cosine(total_steps: int, warmup: float) -> Callable[[int], float]:
    """Return the factor of the learning rate at a step: linear over the share ``warmup``, times a cosine to zero."""
    warmup_steps = max(1, round(warmup * total_steps))

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / warmup_steps) * 0.5 * (1 + math.cos(math.pi * min(1, step / total_steps)))

    return factor


def moving_average(decay: float) -> Callable[[TensorList, TensorList, Tensor | int], None]:
    """Exponential moving average whose memory grows with the steps taken, so that short runs are averaged too.

    Source: the decay ``min(decay, (1 + n) / (10 + n))`` after n updates, as TensorFlow's ExponentialMovingAverage.
    """

    @torch.no_grad()
    def update(averaged: TensorList, current: TensorList, updates: Tensor | int) -> None:
        n = int(updates)
        weight = 1 - min(decay, (1 + n) / (10 + n))
        if averaged[0].is_floating_point():  # torch hands over one type at a time
            torch._foreach_lerp_(averaged, current, weight)
        else:  # batch norm's step counters
            torch._foreach_copy_(averaged, current)

    return update
