"""``max_pool1d``: largest value under a sliding kernel; padding never wins. x ``[N, T, C]``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from firmware_export.affine import INT8_MIN
from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs
from firmware_export.ops.window1d import Padding, output_length, pad_time, taps


@dataclass(frozen=True)
class MaxPool1d(Attrs):
    """Settings of a max pool; padding counts samples before and after."""

    kernel: int
    stride: int
    padding: Padding = (0, 0)


def shape(attrs: MaxPool1d, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, T_out, C)``."""
    n, t, c = inputs[0]
    return n, output_length(t, attrs.kernel, attrs.stride, 1, attrs.padding), c


def pool(attrs: MaxPool1d, x: Array, lowest: float) -> Array:
    """Return the pool, ``lowest`` where the padding is."""
    seen = list(taps(pad_time(x, attrs.padding, lowest), attrs.kernel, attrs.stride, 1))
    return reduce(np.maximum, seen[1:], seen[0].copy())


def float32(attrs: MaxPool1d, inputs: Sequence[Array]) -> Array:
    """Return the pool in float32."""
    return pool(attrs, inputs[0], -np.inf)


def int8(attrs: MaxPool1d, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the pool of the integers; input and output share one scale."""
    return pool(attrs, inputs[0], INT8_MIN)


MAX_POOL1D = Op(
    operands=(Activation(),),
    output_scale=OutputScale.SAME_AS_INPUT,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
