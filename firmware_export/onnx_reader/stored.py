"""Constants that the file keeps as integers: the real numbers they stand for, and the integers found again.

A weight is read, transposed and cut as real numbers. Wherever they end up, they are whole multiples of their scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.graph import Fixed, Quantization

WHOLE = 1e-3  # farthest from an integer: the products in float64 are exact to 2^-21 for every int32


@dataclass(frozen=True, eq=False)
class Stored:
    """Scales of a constant that the file keeps as integers, and the narrowest of our types that holds them."""

    scales: NDArray[np.float64]
    dtype: str


def dequantized(
    integers: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any] | None, axis: int
) -> tuple[NDArray[np.float64], Stored]:
    """Return constant integers as real numbers, and what to find them by again.

    Args:
        integers: any shape.
        scale: one, or one an entry of ``axis``.
        zero: point that stands for 0.0, as many as scales; None is 0.
        axis: dimension of the scales.

    Raises:
        ValueError: scales and integers do not fit together.
    """
    lengths = [integers.shape[axis]] if -integers.ndim <= axis < integers.ndim else []
    if scale.size not in (1, *lengths) or (zero is not None and zero.size not in (1, *lengths)):
        raise ValueError(f"integers {list(integers.shape)} with {scale.size} scales along axis {axis}")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError(f"scales {scale.reshape(-1)[:4].tolist()}, expected positive numbers")

    def along(vector: NDArray[Any]) -> NDArray[np.float64]:
        column = [1] * integers.ndim
        if vector.size > 1:
            column[axis] = -1
        return vector.astype(np.float64).reshape(column)

    real = (integers.astype(np.float64) - (0 if zero is None else along(zero))) * along(scale)
    return real, Stored(scale.astype(np.float64).reshape(-1), "int32" if integers.dtype == np.int32 else "int8")


def fixed_integers(real: NDArray[Any], stored: Stored) -> Fixed | None:
    """Return the integers behind real numbers, None where they do not lie on the scales any more."""
    limits = np.iinfo(stored.dtype)
    for axis in _axes(real, stored.scales.size):
        column = [1] * real.ndim
        if axis is not None:
            column[axis] = -1
        exact = real / stored.scales.reshape(column)
        q = np.rint(exact)
        if np.abs(exact - q).max(initial=0) < WHOLE and (q >= limits.min).all() and (q <= limits.max).all():
            scales = tuple(float(s) for s in stored.scales.astype(np.float32))
            return Fixed(Quantization(scales, 0, axis), q.astype(stored.dtype))
    return None


def _axes(real: NDArray[Any], scales: int) -> list[int | None]:
    return [None] if scales == 1 else [axis for axis, length in enumerate(real.shape) if length == scales]
