"""From a head's outputs to its answers."""

from __future__ import annotations

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
