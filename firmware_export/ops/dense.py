"""``dense``: fully connected layer.

Operands: x ``[N, C_in]``, weight ``[C_out, C_in]``, bias ``[C_out]``. Output ``[N, C_out]``.
Source of the int8 arithmetic: TFLite ``reference_integer_ops::ConvPerChannel`` with a kernel over the whole input.
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
    Op,
    OutputScale,
    Weight,
    clamp,
    int8_limits,
)


@dataclass(frozen=True)
class Dense(ActivatedAttrs):
    """Settings of a fully connected layer."""


def shape(_attrs: Dense, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, C_out)``."""
    return inputs[0][0], inputs[1][0]


def macs(_attrs: Dense, inputs: Sequence[Shape], _output: Shape) -> int:
    """Return one product a weight."""
    return int(np.prod(inputs[1]))


def float32(attrs: Dense, inputs: Sequence[Array]) -> Array:
    """Return the layer in float32."""
    x, weight, bias = inputs
    return clamp(x @ weight.T + bias, attrs.activation)


def int8(attrs: Dense, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Return the layer in int8, exact sums, rescaled by TFLite's rule."""
    x, weight, bias = inputs
    dtype = exact_dtype(weight.shape[1])
    total = (x.astype(dtype) @ weight.astype(dtype).T).astype(np.int64)
    total += bias - quants[0].zero_point * weight.astype(np.int64).sum(axis=1)
    factors = quants[0].scale * np.asarray(quants[1].scales) / output.scale
    return to_int8(rescale(total, factors), output.zero_point, *int8_limits(attrs.activation, output))


DENSE = Op(
    operands=(Activation(), Weight(axis=0), Bias(of=1)),
    output_scale=OutputScale.CALIBRATED,
    shape=shape,
    macs=macs,
    float32=float32,
    int8=int8,
)
