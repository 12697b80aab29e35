"""What the decision stage reads of logits, as float32 tables: exact in the simulator and in the firmware."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgehar.decision_spec import Familiar
from edgehar.signal.quantization import LIMITS, QuantParams

LARGEST_EXPONENT = 700.0  # exp of more overflows


@lru_cache(maxsize=64)  # a fleet of devices shares one
def power_table(quant: QuantParams) -> NDArray[np.float32]:
    """Return ``exp(-scale * d)`` for every difference d of two logits: what one d steps below the largest weighs."""
    low, high = LIMITS[quant.dtype]
    table = np.array([math.exp(-quant.scale * difference) for difference in range(high - low + 1)], np.float32)
    table.setflags(write=False)
    return table


def sigmoid_table(quant: QuantParams) -> NDArray[np.float32]:
    """Return the probability of every logit by itself, the smallest first."""
    low, high = LIMITS[quant.dtype]
    return np.array([sigmoid(quant.scale * (q - quant.zero_point)) for q in range(low, high + 1)], np.float32)


def familiar_tables(familiar: Familiar, quant: QuantParams) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return means and inverse deviations ``[K, K]`` of logits as the network has them."""
    means = np.array(familiar.means) / quant.scale + quant.zero_point
    inverse = quant.scale / np.array(familiar.deviations)
    return means.astype(np.float32), inverse.astype(np.float32)


def sigmoid(x: float) -> float:
    """Return ``1 / (1 + exp(-x))``, of any number."""
    return 1 / (1 + math.exp(-x)) if x > -LARGEST_EXPONENT else 0.0
