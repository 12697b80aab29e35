"""Real numbers to what a tensor of the device holds and back, as the bundle's manifest states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMITS = {"int8": (-(2**7), 2**7 - 1), "int16": (-(2**15), 2**15 - 1)}
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class QuantParams:
    """The format of a tensor: ``real = scale * (q - zero_point)``, one pair for a whole tensor.

    Rounding is to nearest, ties to even (IEEE 754 default, ONNX QuantizeLinear).

    Attributes:
        scale: of integers; 1 for float32, which holds the real number itself.
        zero_point: in the range of ``dtype``; 0 for float32.
        dtype: ``int8``, ``int16`` or ``float32``.
    """

    scale: float
    zero_point: int
    dtype: str = "int8"

    def __post_init__(self) -> None:
        if self.dtype == "float32":
            if (self.scale, self.zero_point) != (1, 0):
                raise ValueError(f"scale {self.scale}, zero_point {self.zero_point} of float32: expected 1 and 0")
            return
        if self.dtype not in LIMITS:
            raise ValueError(f"dtype {self.dtype!r}: expected float32, {', '.join(LIMITS)}")
        low, high = LIMITS[self.dtype]
        whole = isinstance(self.zero_point, int | np.integer)
        if not (1e-30 < self.scale < 1e30 and whole and low <= self.zero_point <= high):
            raise ValueError(f"scale {self.scale}, zero_point {self.zero_point}: expected 1e-30 to 1e30, {low}..{high}")

    def quantize(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """Return the tensor of the same shape: ``clip(rint(x * (1/scale)) + zero_point, low, high)``, in float32.

        float32 is passed on; an infinite number saturates there too.
        """
        if self.dtype == "float32":
            return np.clip(x, np.float32(-LARGEST), np.float32(LARGEST))
        low, high = LIMITS[self.dtype]
        y: NDArray[np.float32] = x * (np.float32(1) / np.float32(self.scale))
        np.rint(y, out=y)
        y += np.float32(self.zero_point)
        np.clip(y, np.float32(low), np.float32(high), out=y)  # 4 x faster than maximum and minimum, which mind NaN
        return y.astype(self.dtype)

    def dequantize(self, q: NDArray[Any]) -> NDArray[np.float32]:
        """Return float32 of the same shape."""
        return (q.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data: int8 goes without saying, and float32 has neither scale nor zero point."""
        if self.dtype == "float32":
            return {"dtype": self.dtype}
        data: dict[str, Any] = {"scale": self.scale, "zero_point": self.zero_point}
        return data if self.dtype == "int8" else {**data, "dtype": self.dtype}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> QuantParams:
        """Rebuild from :meth:`to_dict`."""
        return FLOAT32 if data == {"dtype": "float32"} else cls(**data)


FLOAT32 = QuantParams(1.0, 0, "float32")
