"""``average_pool2d``: mean of an image under a sliding kernel without padding; global when the kernel is all of it.

x ``[N, H, W, C]``. Source of the int8 arithmetic: as ``average_pool1d``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.average_pool1d import mean_of_integers
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs
from firmware_export.ops.window2d import NO_PADDING, Pair, output_size, patches2d


@dataclass(frozen=True)
class AveragePool2d(Attrs):
    """Settings of an average pool, each for height and width."""

    kernel: Pair
    stride: Pair


def shape(attrs: AveragePool2d, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, H_out, W_out, C)``."""
    return inputs[0][0], *output_size(inputs[0], attrs.kernel, attrs.stride, (1, 1), NO_PADDING), inputs[0][3]


def float32(attrs: AveragePool2d, inputs: Sequence[Array]) -> Array:
    """Return the pool in float32."""
    y: Array = patches2d(inputs[0], attrs.kernel, attrs.stride, (1, 1)).mean(axis=(3, 4), dtype=np.float32)
    return y


def int8(
    attrs: AveragePool2d, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization
) -> Array:
    """Return the pool of the integers."""
    total = patches2d(inputs[0], attrs.kernel, attrs.stride, (1, 1)).sum(axis=(3, 4), dtype=np.int32)
    return mean_of_integers(total, attrs.kernel[0] * attrs.kernel[1])


AVERAGE_POOL2D = Op(
    operands=(Activation(),),
    output_scale=OutputScale.SAME_AS_INPUT,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
