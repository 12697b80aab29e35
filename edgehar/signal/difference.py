"""First difference in time: what is left of acceleration when gravity and slow tilt are taken out, at no cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Difference:
    """``y[t] = x[t] - x[t-1]``; the first output after a reset is 0 (the first sample is its own past).

    Attributes:
        columns: feature columns it works on.
    """

    columns: tuple[int, ...]

    op = "difference"

    @property
    def memory_samples(self) -> int:
        """Earlier samples that an output depends on."""
        return 1

    def apply(self, x: F32, state: Any) -> tuple[F32, Any]:
        """Return the differences of ``[..., C, T]`` and its last column, which is the next call's past."""
        y = np.empty_like(x)
        first = x[..., 0]
        np.subtract(first, first if state is None else state, out=y[..., 0])
        np.subtract(x[..., 1:], x[..., :-1], out=y[..., 1:])
        return y, x[..., -1].copy()
