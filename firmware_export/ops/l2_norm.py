"""``l2_norm``: every column divided by its Euclidean length; int8 output has scale 1/128 and zero point 0.

x ``[N, T, C]`` or ``[N, C]``. Times the square root of C it is RMSNorm; of centred columns, layer normalization.
Source of the int8 arithmetic: TFLite ``reference_integer_ops::L2Normalization`` and, for one over the square root,
``GetInvSqrtQuantizedMultiplierExp``: five Newton steps in fixed point. Formats are written Qm.n: n fraction bits of 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgehar.signal import QuantParams
from firmware_export.affine import INT8_MAX, INT8_MIN, divide_by_power_of_two, high_multiply
from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, same_shape

OUTPUT_BITS = 7
OUTPUT = QuantParams(2.0**-OUTPUT_BITS, 0)
SHORTEST = 1e-6  # TFLite's float kernel divides by no less
_ONE = 1 << 28  # in Q3.28
_HALF_SQRT_2 = 1518500250  # in Q0.31
_INT32 = (-(2**31), 2**31 - 1)

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class L2Norm(Attrs):
    """There is nothing to set."""


def macs(_attrs: L2Norm, inputs: Sequence[Shape], _output: Shape) -> int:
    """Return a square and a product a number."""
    return 2 * int(np.prod(inputs[0]))


def float32(_attrs: L2Norm, inputs: Sequence[Array]) -> Array:
    """Return the columns at length 1; a column of zeros stays one."""
    length = np.sqrt(np.sum(np.square(inputs[0]), axis=-1, keepdims=True))
    y: Array = inputs[0] / np.maximum(length, np.float32(SHORTEST))
    return y


def _shift_left_saturating(a: I64, bits: int) -> I64:
    shifted: I64 = np.clip(a << bits, *_INT32)
    return shifted


def _one_over_root(squares: I64) -> tuple[I64, I64]:
    """Return ``(multiplier, shift)`` with ``1 / sqrt(squares) ≈ multiplier * 2^(-31 - shift)``, for sums below 2^29."""
    counted = np.maximum(squares, 2)
    bits = np.floor(np.log2(counted.astype(np.float64))).astype(np.int64) + 1
    pairs = (31 - bits) // 2 - 1
    scaled = (counted << (2 * pairs)) >> 1  # Q3.28
    half = divide_by_power_of_two(scaled, 1)
    x = np.full_like(scaled, _ONE)
    for _ in range(5):
        cube = _shift_left_saturating(high_multiply(high_multiply(x, x), x), 6)
        x = _shift_left_saturating(high_multiply(x, _ONE + _ONE // 2) - high_multiply(half, cube), 3)
    multiplier, shift = high_multiply(x, _HALF_SQRT_2), 11 - pairs
    multiplier, shift = multiplier << np.maximum(-shift, 0), np.maximum(shift, 0)
    unit = squares <= 1
    return np.where(unit, _INT32[1], multiplier), np.where(unit, 0, shift)


def int8(_attrs: L2Norm, inputs: Sequence[Array], quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the columns at length 1 at the fixed output scale."""
    x = inputs[0].astype(np.int64) - quants[0].zero_point
    multiplier, shift = _one_over_root((x * x).sum(axis=-1, keepdims=True))
    right = shift - OUTPUT_BITS
    lifted = high_multiply(x << np.maximum(-right, 0), multiplier)
    y = divide_by_power_of_two(lifted, np.maximum(right, 0))
    return np.clip(y, INT8_MIN, INT8_MAX).astype(np.int8)


L2_NORM = Op(
    operands=(Activation(),),
    output_scale=OUTPUT,
    shape=same_shape,
    macs=macs,
    float32=float32,
    int8=int8,
)
