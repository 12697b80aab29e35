"""``softmax`` over the last axis, x ``[N, K]`` or ``[N, T, C]``; int8 output has scale 1/256 and zero point -128.

int16 output has scale 1/32768 and zero point 0, and is another algorithm: two tables, interpolated.

Source of the int8 arithmetic: TFLite ``reference_ops::Softmax`` (fixed point throughout), built from gemmlowp's
``exp_on_negative_values`` and ``one_over_one_plus_x_for_x_in_0_1``; of the int16 arithmetic: ``SoftmaxInt16`` with
``LUTPopulateInt16``. Formats are written Qm.n: n fraction bits of 32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.signal import QuantParams
from firmware_export.affine import INT8_MAX, INT8_MIN, divide_by_power_of_two, fixed_point, high_multiply, rescale
from firmware_export.graph import Attrs, Quantization
from firmware_export.ops.op import Activation, Array, Op, no_macs, same_shape

OUTPUT = QuantParams(1 / 256, -128)
_DIFFERENCE_FRACTION = 26  # Q5.26: differences to the largest logit, -32..0
_SUM_FRACTION = 19  # Q12.19: up to 4096 terms
_INT32 = (-(2**31), 2**31 - 1)

_TABLE_STEPS = 512  # of the int16 tables
_INT16_SPAN = 2**16 - 1
_INT16_REACH = 10.0  # exp(-10) is less than half a step

I64 = NDArray[np.int64]
F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Softmax(Attrs):
    """There is nothing to set."""


def float32(_attrs: Softmax, inputs: Sequence[Array]) -> Array:
    """Return the softmax in float32."""
    e = np.exp(inputs[0] - inputs[0].max(axis=-1, keepdims=True))
    y: Array = e / e.sum(axis=-1, keepdims=True)
    return y


def _q31(real: float) -> int:
    return min(round(real * 2**31), 2**31 - 1)


def _shift_left_saturating(a: I64, bits: int) -> I64:
    shifted: I64 = np.clip(a << bits, *_INT32)
    return shifted


def _exp_of_small(a: I64) -> I64:
    """Return exp(a) in Q0.31 for a in [-1/4, 0) in Q0.31: Taylor series about -1/8, four terms."""
    x = a + (1 << 28)
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4 = high_multiply(x2, x2)
    series = divide_by_power_of_two(x4, 2)
    series = high_multiply(series + x3, _q31(1 / 3))
    series = divide_by_power_of_two(series + x2, 1)
    constant = _q31(math.exp(-1 / 8))
    return constant + high_multiply(x + series, constant)


def _exp_of_negative(a: I64) -> I64:
    """Return exp(a) in Q0.31 for a <= 0 in Q5.26: a remainder in [-1/4, 0) and one factor a bit of the rest."""
    quarter = 1 << (_DIFFERENCE_FRACTION - 2)
    remainder = (a & (quarter - 1)) - quarter
    result = _exp_of_small(remainder << (31 - _DIFFERENCE_FRACTION))
    rest = remainder - a
    for exponent in range(-2, 5):
        bit = 1 << (_DIFFERENCE_FRACTION + exponent)
        result = np.where(rest & bit, high_multiply(result, _q31(math.exp(-(2.0**exponent)))), result)
    exact: I64 = np.where(a == 0, 2**31 - 1, result)
    return exact


def _one_over_one_plus(a: I64) -> I64:
    """Return 1 / (1 + a) in Q0.31 for a in [0, 1] in Q0.31: three Newton steps on the half denominator."""
    total = a + (2**31 - 1)
    half_denominator = (total + np.sign(total)) // 2  # gemmlowp RoundingHalfSum, of a non-negative sum here
    one = 1 << 29  # in Q2.29
    x = round(48 / 17 * one) + high_multiply(half_denominator, -round(32 / 17 * one))
    for _ in range(3):
        product = high_multiply(half_denominator, x)
        x = x + _shift_left_saturating(high_multiply(x, one - product), 2)
    return _shift_left_saturating(x, 1)


def int8(_attrs: Softmax, inputs: Sequence[Array], quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the softmax in int8 at the fixed output scale."""
    # beta is 1; the factor lifts logits to Q5.26
    multiplier, shift = fixed_point(min(quants[0].scale * 2.0**_DIFFERENCE_FRACTION, 2.0**31 - 1))
    reach = math.floor(31 * 2.0 ** (31 - 5) / 2.0**shift)  # TFLite CalculateInputRadius(5 integer bits)
    q = inputs[0].astype(np.int64)
    difference = q - q.max(axis=-1, keepdims=True)
    counted = difference >= -reach
    scaled = high_multiply(np.where(counted, difference, 0) << shift, multiplier)
    e = np.where(counted, _exp_of_negative(scaled), 0)
    total = np.where(counted, divide_by_power_of_two(e, 31 - _SUM_FRACTION), 0).sum(axis=-1, keepdims=True)

    # normalize the sum to 1 <= total < 2, remembering the power of two
    headroom = 31 - np.floor(np.log2(total.astype(np.float64))).astype(np.int64)
    over_unit = 31 - _SUM_FRACTION - headroom
    inverse = _one_over_one_plus((total << headroom) - (1 << 31))
    y = divide_by_power_of_two(high_multiply(inverse, e), over_unit + 31 - 8)
    return np.where(counted, np.clip(y + INT8_MIN, INT8_MIN, INT8_MAX), INT8_MIN).astype(np.int8)


def _int16_table(function: Callable[[float], float], start: float, end: float) -> I64:
    """Return 513 samples in Q0.15 over ``start..end``, each moved by half of what interpolation misses in between."""
    step = np.float32((np.float32(end) - np.float32(start)) / np.float32(_TABLE_STEPS))
    half = np.float32(step / 2)

    def sampled(x: F32) -> F32:
        y = np.asarray([function(float(each)) for each in x], np.float32)
        return y * np.float32(_INT16_SPAN + 1) / np.float32(np.float32(2) / np.float32(_INT16_SPAN) * _INT16_SPAN)

    x = np.float32(start) + np.arange(_TABLE_STEPS, dtype=np.float32) * step
    here, middle, after = _half_away(sampled(x)), _half_away(sampled(x + half)), sampled(x + step)
    missed = _half_away((after + here) / 2) - middle
    table = here - _half_away(missed / 2)
    last = _half_away(sampled(np.asarray([end], np.float32)))
    integers: I64 = np.clip(np.concatenate([table, last]), -(2**15), 2**15 - 1).astype(np.int64)
    return integers


def _half_away(x: NDArray[Any]) -> F32:
    rounded: F32 = np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x)
    return rounded


@cache
def _tables() -> tuple[I64, I64]:
    """Return exp(x) for x in -10..0 and 1 / (1 + x) for x in 0..1."""
    return _int16_table(math.exp, -_INT16_REACH, 0.0), _int16_table(lambda x: 1 / (1 + x), 0.0, 1.0)


def _interpolated(table: I64, at: I64) -> I64:
    """Return a table at int16 positions."""
    index, offset = 256 + (at >> 7), at & 0x7F
    base = table[index]
    looked_up: I64 = base + (((table[index + 1] - base) * offset + 64) >> 7)
    return looked_up


def int16(_attrs: Softmax, inputs: Sequence[Array], quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the softmax in int16 at the fixed output scale."""
    exp, inverse = _tables()
    q = inputs[0].astype(np.int64)
    difference = q - q.max(axis=-1, keepdims=True)
    # -10..0 becomes -65535..0, then -32768..32767
    scaled = rescale(difference, quants[0].scale / (_INT16_REACH / _INT16_SPAN)) + (2**15 - 1)
    e = _interpolated(exp, np.clip(scaled, -(2**15), 2**15 - 1))
    total = e.sum(axis=-1, keepdims=True)
    headroom = 31 - np.floor(np.log2(total.astype(np.float64))).astype(np.int64)  # leading zeros of 32 bits
    shifted = ((total << (headroom - 1)) + (1 << 13)) >> 14  # 1 <= sum < 2 as 2^16..2^17
    reciprocal = _interpolated(inverse, np.clip(shifted - (2**15 + 2**16), -(2**15), 2**15 - 1))
    right = 31 - headroom
    y = (e * reciprocal + (np.int64(1) << (right - 1))) >> right
    clamped: Array = np.clip(y, 0, 2**15 - 1).astype(np.int16)
    return clamped


SOFTMAX = Op(
    operands=(Activation(),),
    output_scale=OUTPUT,
    shape=same_shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
