"""From a head's outputs to its answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1


def decide(kind: str, outputs: NDArray[Any], zero: float = 0) -> NDArray[np.int16]:
    """Return answers ``[N, W]`` of outputs ``[N, K]``.

    Args:
        kind: of the head. Multiclass: the first of the largest outputs, ``W = 1``. Otherwise 1 where an output is at
            least ``zero`` (probability at least 0.5), else 0, ``W = K``.
        outputs: real logits, or integers.
        zero: what a logit of 0 is: the zero point where outputs are integers.
    """
    if kind == "multiclass":
        return np.asarray(outputs.argmax(axis=-1, keepdims=True), np.int16)
    return np.asarray(outputs >= zero, np.int16)


def sigmoid(scale: float, zero_point: int) -> NDArray[np.float64]:
    """Return the probabilities ``[256]`` of int8 logits -128..127: entry ``q + 128`` is that of ``q``."""
    return np.array([1 / (1 + math.exp(-scale * (q - zero_point))) for q in range(-128, 128)])
