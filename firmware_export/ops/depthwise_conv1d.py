"""``depthwise_conv1d``: each channel convolved over time on its own.

Operands: x ``[N, T, C]``, weight ``[K, C * multiplier]``, bias ``[C * multiplier]``. Output channel ``o`` reads input
channel ``o // multiplier``. Source of the int8 arithmetic: TFLite ``reference_integer_ops::DepthwiseConvPerChannel``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.affine import rescale, to_int8
from firmware_export.graph import Quantization, Shape
from firmware_export.ops.conv1d import exact_dtype
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
from firmware_export.ops.window1d import Padding, output_length, pad_time, taps


@dataclass(frozen=True)
class DepthwiseConv1d(ActivatedAttrs):
    """Settings of a depthwise convolution; padding counts samples before and after."""

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    padding: Padding = (0, 0)
    multiplier: int = 1
    activation: FusedActivation = FusedActivation.NONE


def accumulate(attrs: DepthwiseConv1d, x: Array, weight: Array) -> Array:
    """Return the sums of products, in the type of ``x``, which is already padded."""
    if attrs.multiplier > 1:
        x = np.repeat(x, attrs.multiplier, axis=2)
    total: Array | None = None
    for seen, w in zip(taps(x, attrs.kernel, attrs.stride, attrs.dilation), weight, strict=True):
        product = seen * w
        total = product if total is None else np.add(total, product, out=total)
    assert total is not None  # a kernel has at least one tap
    return total


def shape(attrs: DepthwiseConv1d, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, T_out, C * multiplier)``."""
    length = output_length(inputs[0][1], attrs.kernel, attrs.stride, attrs.dilation, attrs.padding)
    return inputs[0][0], length, inputs[1][1]


def macs(_attrs: DepthwiseConv1d, inputs: Sequence[Shape], output: Shape) -> int:
    """Return one product a weight and position, padding included."""
    return output[1] * int(np.prod(inputs[1]))


def float32(attrs: DepthwiseConv1d, inputs: Sequence[Array]) -> Array:
    """Return the convolution in float32."""
    x, weight, bias = inputs
    y = accumulate(attrs, pad_time(x, attrs.padding, 0.0), weight)
    y += bias
    return clamp(y, attrs.activation)


def int8(
    attrs: DepthwiseConv1d, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization
) -> Array:
    """Return the convolution in int8, exact sums, rescaled by TFLite's rule."""
    x, weight, bias = inputs
    dtype = exact_dtype(attrs.kernel)
    y = accumulate(attrs, pad_time(x, attrs.padding, quants[0].zero_point).astype(dtype), weight.astype(dtype))
    total = y.astype(np.int64)
    total += bias - quants[0].zero_point * weight.astype(np.int64).sum(axis=0)
    factors = quants[0].scale * np.asarray(quants[1].scales) / output.scale
    return to_int8(rescale(total, factors), output.zero_point, *int8_limits(attrs.activation, output))


DEPTHWISE_CONV1D = Op(
    operands=(Activation(), Weight(axis=1), Bias(of=1)),
    output_scale=OutputScale.CALIBRATED,
    shape=shape,
    macs=macs,
    float32=float32,
    int8=int8,
)
