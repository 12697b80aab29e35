"""``average_pool1d``: mean under a sliding kernel without padding; global when the kernel is the whole input.

x ``[N, T, C]``. Source of the int8 arithmetic: TFLite ``reference_integer_ops::AveragePool``: the sum of the integers
divided by the count, halves away from zero; input and output share one scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs
from firmware_export.ops.window1d import output_length, patches


@dataclass(frozen=True)
class AveragePool1d(Attrs):
    """Settings of an average pool."""

    kernel: int
    stride: int


def shape(attrs: AveragePool1d, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, T_out, C)``."""
    n, t, c = inputs[0]
    return n, output_length(t, attrs.kernel, attrs.stride, 1, (0, 0)), c


def float32(attrs: AveragePool1d, inputs: Sequence[Array]) -> Array:
    """Return the pool in float32."""
    y: Array = patches(inputs[0], attrs.kernel, attrs.stride, 1).mean(axis=2, dtype=np.float32)
    return y


def int8(
    attrs: AveragePool1d, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization
) -> Array:
    """Return the pool of the integers."""
    total = patches(inputs[0], attrs.kernel, attrs.stride, 1).sum(axis=2, dtype=np.int32)
    return mean_of_integers(total, attrs.kernel)


def mean_of_integers(total: Array, count: int, dtype: type[np.integer[Any]] = np.int8) -> Array:
    """Return sums of integers of this type divided by how many there were, halves away from zero."""
    mean: Array = (np.sign(total) * ((np.abs(total) + count // 2) // count)).astype(dtype)
    return mean


AVERAGE_POOL1D = Op(
    operands=(Activation(),),
    output_scale=OutputScale.SAME_AS_INPUT,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
