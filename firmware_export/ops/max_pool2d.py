"""``max_pool2d``: largest value of an image under a sliding kernel; padding never wins. x ``[N, H, W, C]``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.affine import INT8_MIN
from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs
from firmware_export.ops.window2d import NO_PADDING, Padding2d, Pair, output_size, pad_image, patches2d


@dataclass(frozen=True)
class MaxPool2d(Attrs):
    """Settings of a max pool, each for height and width."""

    kernel: Pair
    stride: Pair
    padding: Padding2d = NO_PADDING


def shape(attrs: MaxPool2d, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, H_out, W_out, C)``."""
    return inputs[0][0], *output_size(inputs[0], attrs.kernel, attrs.stride, (1, 1), attrs.padding), inputs[0][3]


def pool(attrs: MaxPool2d, x: Array, lowest: float) -> Array:
    """Return the pool, ``lowest`` where the padding is."""
    seen = patches2d(pad_image(x, attrs.padding, lowest), attrs.kernel, attrs.stride, (1, 1))
    y: Array = seen.max(axis=(3, 4))
    return y


def float32(attrs: MaxPool2d, inputs: Sequence[Array]) -> Array:
    """Return the pool in float32."""
    return pool(attrs, inputs[0], -np.inf)


def int8(attrs: MaxPool2d, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the pool of the integers; input and output share one scale."""
    return pool(attrs, inputs[0], INT8_MIN)


MAX_POOL2D = Op(
    operands=(Activation(),),
    output_scale=OutputScale.SAME_AS_INPUT,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
