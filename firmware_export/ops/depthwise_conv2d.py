"""``depthwise_conv2d``: each channel of an image convolved on its own.

Operands: x ``[N, H, W, C]``, weight ``[K_h, K_w, C * multiplier]``, bias ``[C * multiplier]``. Output channel ``o``
reads input channel ``o // multiplier``.
Source of the int8 arithmetic: TFLite ``reference_integer_ops::DepthwiseConvPerChannel``.
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
from firmware_export.ops.window2d import NO_PADDING, Padding2d, Pair, output_size, pad_image, patches2d


@dataclass(frozen=True)
class DepthwiseConv2d(ActivatedAttrs):
    """Settings of a depthwise convolution, each for height and width."""

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding2d = NO_PADDING
    multiplier: int = 1
    activation: FusedActivation = FusedActivation.NONE


def accumulate(attrs: DepthwiseConv2d, x: Array, weight: Array) -> Array:
    """Return the sums of products, in the type of ``x``, which is already padded."""
    if attrs.multiplier > 1:
        x = np.repeat(x, attrs.multiplier, axis=3)
    y: Array = np.einsum("nhwijc,ijc->nhwc", patches2d(x, attrs.kernel, attrs.stride, attrs.dilation), weight)
    return y


def shape(attrs: DepthwiseConv2d, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, H_out, W_out, C * multiplier)``.

    Raises:
        ValueError: the weight has another number of channels.
    """
    size = output_size(inputs[0], attrs.kernel, attrs.stride, attrs.dilation, attrs.padding)
    if inputs[1][2] != inputs[0][3] * attrs.multiplier:
        raise ValueError(f"weight {list(inputs[1])} for an input {list(inputs[0])} times {attrs.multiplier}")
    return inputs[0][0], *size, inputs[1][2]


def macs(_attrs: DepthwiseConv2d, inputs: Sequence[Shape], output: Shape) -> int:
    """Return one product a weight and position, padding included."""
    return output[1] * output[2] * int(np.prod(inputs[1]))


def float32(attrs: DepthwiseConv2d, inputs: Sequence[Array]) -> Array:
    """Return the convolution in float32."""
    x, weight, bias = inputs
    y = accumulate(attrs, pad_image(x, attrs.padding, 0.0), weight)
    y += bias
    return clamp(y, attrs.activation)


def int8(
    attrs: DepthwiseConv2d, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization
) -> Array:
    """Return the convolution in int8, exact sums, rescaled by TFLite's rule."""
    x, weight, bias = inputs
    dtype = exact_dtype(attrs.kernel[0] * attrs.kernel[1])
    padded = pad_image(x, attrs.padding, quants[0].zero_point).astype(dtype)
    total = accumulate(attrs, padded, weight.astype(dtype)).astype(np.int64)
    total += bias - quants[0].zero_point * weight.astype(np.int64).sum(axis=(0, 1))
    factors = quants[0].scale * np.asarray(quants[1].scales) / output.scale
    return to_int8(rescale(total, factors), output.zero_point, *int8_limits(attrs.activation, output))


DEPTHWISE_CONV2D = Op(
    operands=(Activation(), Weight(axis=2), Bias(of=1)),
    output_scale=OutputScale.CALIBRATED,
    shape=shape,
    macs=macs,
    float32=float32,
    int8=int8,
)
