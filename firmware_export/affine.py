"""Which integers stand for which real numbers, and the fixed-point arithmetic between them.

Source of the arithmetic: the integer-only inference scheme of Jacob et al. 2018 (arXiv:1712.05877, section 2.2 and
appendix B) as TFLite's reference kernels round it: a product with a Q0.31 multiplier is rounded once to 32 bits,
then once more by the power of two ("double rounding").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.graph import DType, Quantization, Range

INT8_MIN, INT8_MAX = -128, 127
INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1
BIAS_LIMIT = 2**30  # half of int32, the other half is for the products
SMALLEST_CHANNEL = 2.0**-16  # of the largest channel's scale: XNNPACK refuses rescaling factors below 2^-32
SMALLEST_STEP = 2.0**-20  # of an activation that calibration saw only at 0


def activation_quantization(seen: Range) -> Quantization:
    """Return the int8 scale and zero point that cover a range; 0.0 gets an exact integer.

    The zero point is rounded, so one end of the range may be cut by up to half a step.
    """
    scale = max((seen.high - seen.low) / (INT8_MAX - INT8_MIN), SMALLEST_STEP)
    scale = float(np.float32(scale))
    zero_point = min(max(round(INT8_MIN - seen.low / scale), INT8_MIN), INT8_MAX)
    return Quantization((scale,), zero_point)


def cell_quantization(seen: Range) -> Quantization:
    """Return the int16 scale ``2^-k`` of an LSTM's cell state, 9 <= k <= 15, the finest that covers a range.

    Outside of these k LiteRT computes garbage without an error; at 2^-9 cells saturate at ±64, where tanh has long
    been 1.
    """
    largest = max(-seen.low, seen.high)
    k = next((k for k in range(15, 9, -1) if largest <= INT16_MAX * 2.0**-k), 9)
    return Quantization((2.0**-k,))


def to_integers(x: NDArray[np.float32], quant: Quantization, dtype: DType = "int8") -> NDArray[Any]:
    """Return activations as integers of one scale: to nearest, halves to even, as the device rounds its input."""
    limits = np.iinfo(dtype)
    q = np.rint(x * (np.float32(1) / np.float32(quant.scale))) + np.float32(quant.zero_point)
    integers: NDArray[Any] = np.clip(q, limits.min, limits.max).astype(dtype)
    return integers


def to_real(integers: NDArray[Any], quant: Quantization) -> NDArray[np.float32]:
    """Return what integers stand for, one scale for all or one an entry of the quantization's axis."""
    column = [1] * integers.ndim
    if quant.axis is not None:
        column[quant.axis] = -1
    scales = np.asarray(quant.scales, np.float32).reshape(column)
    return (integers.astype(np.float32) - np.float32(quant.zero_point)) * scales


def quantize_weight(
    weight: NDArray[np.float32], axis: int | None, smallest: NDArray[np.float64]
) -> tuple[NDArray[np.int8], Quantization]:
    """Return ``weight`` as symmetric int8 in -127..127.

    -128 is left out: the TFLite int8 specification forbids it, kernels rely on it.

    Args:
        weight: any shape.
        axis: dimension with one scale an entry; None for one scale in all.
        smallest: ``[C]`` lower bounds of the scales (see :func:`smallest_weight_scale`); with axis None the largest
            of them counts.
    """
    if axis is None:
        others, smallest = tuple(range(weight.ndim)), smallest.max(keepdims=True)
    else:
        others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others).astype(np.float64).reshape(-1)
    scales = np.maximum(largest / INT8_MAX, smallest)
    scales = np.maximum(scales, scales.max() * SMALLEST_CHANNEL) if scales.any() else np.ones_like(scales)
    quant = Quantization(tuple(float(s) for s in scales.astype(np.float32)), 0, axis)
    column = [1] * weight.ndim
    if axis is not None:
        column[axis] = -1
    q = np.rint(weight / np.asarray(quant.scales).reshape(column))
    return np.clip(q, -INT8_MAX, INT8_MAX).astype(np.int8), quant


def smallest_weight_scale(bias: NDArray[np.float32], x: Quantization) -> NDArray[np.float64]:
    """Return ``[C]`` weight scales below which the int32 bias would leave ``±2^30``.

    A channel whose weights have died still has to put out its bias, and the accumulator needs the other half.
    """
    return np.abs(bias).astype(np.float64) / (x.scale * BIAS_LIMIT)


def quantize_bias(
    bias: NDArray[np.float32], x: Quantization, weight: Quantization
) -> tuple[NDArray[np.int32], Quantization]:
    """Return ``bias`` ``[C]`` as int32 with scale ``s_x * s_w[c]``, so that it adds to the accumulator as it is."""
    scales = x.scale * np.asarray(weight.scales)
    q = np.clip(np.rint(bias / scales), -BIAS_LIMIT, BIAS_LIMIT).astype(np.int32)
    return q, Quantization(tuple(float(s) for s in scales.astype(np.float32)), 0, None if weight.axis is None else 0)


def fixed_point(real: float) -> tuple[int, int]:
    """Return ``(multiplier, shift)`` with ``real ≈ multiplier * 2^(shift - 31)``, multiplier in [2^30, 2^31) or 0.

    Source: TFLite ``QuantizeMultiplier``. Factors below 2^-31 become 0.
    """
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def high_multiply(a: NDArray[np.int64], multiplier: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Return ``a * multiplier / 2^31`` to nearest, halves upward.

    Source: gemmlowp ``SaturatingRoundingDoublingHighMul``; its one saturating case (both -2^31) cannot occur, as
    multipliers are non-negative. Its nudge-and-truncate equals this shift for either sign.
    """
    product: NDArray[np.int64] = a * multiplier
    product += 1 << 30
    product >>= 31
    return product


def divide_by_power_of_two(a: NDArray[np.int64], exponent: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Return ``a / 2^exponent`` to nearest, halves away from zero. Source: gemmlowp ``RoundingDivideByPOT``."""
    half = (np.int64(1) << np.asarray(exponent, np.int64)) >> 1
    nudged: NDArray[np.int64] = a >> 63  # -1 where negative
    nudged &= -(half > 0).astype(np.int64)
    nudged += a
    nudged += half
    nudged >>= exponent
    return nudged


def rescale(accumulator: NDArray[Any], real: NDArray[np.float64] | float) -> NDArray[np.int64]:
    """Return int32 accumulators times real factors (broadcast over the last axis), rounded twice.

    Source: TFLite ``MultiplyByQuantizedMultiplier``. Accumulators are below 2^31 in size; the left shift of
    factors above 1 must not overflow 32 bits, which holds for ``|accumulator * factor| < 2^31``.
    """
    return rescale_by(accumulator, fixed_points(real))


def fixed_points(real: NDArray[np.float64] | float) -> NDArray[np.int64]:
    """Return ``[2, K]``: :func:`fixed_point` of each factor, for :func:`rescale_by`."""
    return np.asarray([fixed_point(float(r)) for r in np.atleast_1d(real)], np.int64).T


def rescale_by(accumulator: NDArray[Any], factors: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return :func:`rescale` of factors worked out before: a recurrent network rescales at every step."""
    multiplier, shift = factors
    a = accumulator.astype(np.int64)
    if (shift > 0).any():
        a = a << np.maximum(shift, 0)
    return divide_by_power_of_two(high_multiply(a, multiplier), np.maximum(-shift, 0))


def wide_points(real: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return ``[2, K]``: a 15-bit multiplier and how far to shift right, for :func:`rescale_wide_by`."""
    multiplier, shift = fixed_points(real)
    return np.stack([np.where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF), 15 - shift])


def rescale_wide_by(total: NDArray[np.int64], factors: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 64-bit sums times real factors (over the last axis), rounded once, halves upward.

    Source: TFLite ``MultiplyByQuantizedMultiplier(int64_t, ...)``, for sums below 2^47.
    """
    multiplier, shift = factors
    scaled: NDArray[np.int64] = (total * multiplier + (np.int64(1) << (shift - 1))) >> shift
    return scaled


def to_int8(
    rescaled: NDArray[np.int64], zero_point: int, low: int = INT8_MIN, high: int = INT8_MAX
) -> NDArray[np.int8]:
    """Return ``rescaled + zero_point`` clamped to ``low..high``."""
    rescaled += zero_point
    return np.clip(rescaled, low, high, out=rescaled).astype(np.int8)
