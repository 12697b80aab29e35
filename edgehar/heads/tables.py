"""Probabilities of integer logits as float32 tables: exact in the simulator and in the firmware, which holds them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgehar.signal.quantization import LIMITS, QuantParams

LARGEST_EXPONENT = 700.0  # exp of more overflows


def power_table(quant: QuantParams) -> NDArray[np.float32]:
    """Return ``exp(-scale * d)`` for every difference d of two logits: what one d steps below the largest weighs."""
    low, high = LIMITS[quant.dtype]
    return np.array([math.exp(-quant.scale * difference) for difference in range(high - low + 1)], np.float32)


def sigmoid_table(quant: QuantParams) -> NDArray[np.float32]:
    """Return the probability of every logit by itself, the smallest first."""
    low, high = LIMITS[quant.dtype]
    return np.array([sigmoid(quant.scale * (q - quant.zero_point)) for q in range(low, high + 1)], np.float32)


def sigmoid(x: float) -> float:
    """Return ``1 / (1 + exp(-x))``, of any number."""
    return 1 / (1 + math.exp(-x)) if x > -LARGEST_EXPONENT else 0.0
