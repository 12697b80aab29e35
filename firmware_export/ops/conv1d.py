"""``conv1d``: dense or grouped convolution over time.

Operands: x ``[N, T, C_in]``, weight ``[C_out, K, C_in / groups]``, bias ``[C_out]``. Output ``[N, T_out, C_out]``.
Source of the int8 arithmetic: TFLite ``reference_integer_ops::ConvPerChannel``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.affine import rescale, to_int8
from firmware_export.graph import Quantization, Shape
from firmware_export.ops.op import (
    ActivatedAttrs,
    Activation,
    Array,
    Bias,
    FusedActivation,
    Op,
    OutputScale,
    Weight,
    clamp,
    int8_limits,
)
from firmware_export.ops.window1d import Padding, output_length, pad_time, patches


@dataclass(frozen=True)
class Conv1d(ActivatedAttrs):
    """Settings of a convolution; padding counts samples before and after."""

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    padding: Padding = (0, 0)
    groups: int = 1
    activation: FusedActivation = FusedActivation.NONE


def exact_dtype(products: int) -> type[np.floating]:
    """Return the float type whose matrix products are exact for this many int8 products in a sum.

    A product is at most 2^14; float32 holds every integer up to 2^24, so any order of 2^10 additions is exact.
    float64 reaches to 2^39 products.
    """
    return np.float32 if products <= 2**10 else np.float64


def accumulate(attrs: Conv1d, x: Array, weight: Array) -> Array:
    """Return the sums of products, in the type of ``x``, which is already padded."""
    outputs, kernel, depth = weight.shape
    seen = patches(x, kernel, attrs.stride, attrs.dilation)
    n, t = seen.shape[:2]
    per_group = outputs // attrs.groups
    y = np.empty((n * t, outputs), x.dtype)
    for g in range(attrs.groups):
        columns = slice(g * per_group, (g + 1) * per_group)
        rows = seen[..., g * depth : (g + 1) * depth].reshape(n * t, kernel * depth)
        np.matmul(rows, weight[columns].reshape(per_group, -1).T, out=y[:, columns])
    return y.reshape(n, t, outputs)


def shape(attrs: Conv1d, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, T_out, C_out)``."""
    length = output_length(inputs[0][1], attrs.kernel, attrs.stride, attrs.dilation, attrs.padding)
    return inputs[0][0], length, inputs[1][0]


def macs(_attrs: Conv1d, inputs: Sequence[Shape], output: Shape) -> int:
    """Return one product a weight and position, padding included."""
    return output[1] * int(np.prod(inputs[1]))


def float32(attrs: Conv1d, inputs: Sequence[Array]) -> Array:
    """Return the convolution in float32."""
    x, weight, bias = inputs
    y = accumulate(attrs, pad_time(x, attrs.padding, 0.0), weight)
    y += bias
    return clamp(y, attrs.activation)


def int8(attrs: Conv1d, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Return the convolution in int8, exact sums, rescaled by TFLite's rule."""
    x, weight, bias = inputs
    dtype = exact_dtype(weight[0].size)
    w = weight.astype(dtype)
    y = accumulate(attrs, pad_time(x, attrs.padding, quants[0].zero_point).astype(dtype), w)
    # sum (q - zero_point) w = sum q w - zero_point sum w
    total = y.astype(np.int64)
    total += bias - quants[0].zero_point * weight.astype(np.int64).sum(axis=(1, 2))
    factors = quants[0].scale * np.asarray(quants[1].scales) / output.scale
    return to_int8(rescale(total, factors), output.zero_point, *int8_limits(attrs.activation, output))


CONV1D = Op(
    operands=(Activation(), Weight(axis=0), Bias(of=1)),
    output_scale=OutputScale.CALIBRATED,
    shape=shape,
    macs=macs,
    float32=float32,
    int8=int8,
)
