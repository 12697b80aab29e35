"""Arrays of the decision stage, and the one sum whose order is stated."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=np.floating[Any])
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]  # float32 on the device; float64 where the full-precision model is smoothed
Labels = NDArray[np.int16]
Logits = NDArray[Any]  # in the format of their head


def row_sums(x: NDArray[F]) -> NDArray[F]:
    """Return ``[N, 1]`` sums of rows ``[N, K]``, added from the first column to the last.

    numpy's own sum adds in an order that depends on the array's shape.
    """
    total = x[:, 0].copy()
    for column in range(1, x.shape[1]):
        total += x[:, column]
    return total[:, None]
