"""``add``: sum of two activations of one shape (a residual connection).

Source of the int8 arithmetic: TFLite ``reference_integer_ops::Add`` with the preparation of its ADD kernel: both
inputs are lifted by 2^20 and brought to twice the larger scale before they are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.affine import rescale, to_int8
from firmware_export.graph import Quantization, Shape
from firmware_export.ops.op import ActivatedAttrs, Activation, Array, Op, OutputScale, clamp, int8_limits, no_macs

LIFT = 20  # bits


@dataclass(frozen=True)
class Add(ActivatedAttrs):
    """Settings of an addition."""


def shape(_attrs: Add, inputs: Sequence[Shape]) -> Shape:
    """Return the common shape.

    Raises:
        ValueError: the shapes differ.
    """
    if inputs[0] != inputs[1]:
        raise ValueError(f"add of {inputs[0]} and {inputs[1]}: expected one shape")
    return inputs[0]


def float32(attrs: Add, inputs: Sequence[Array]) -> Array:
    """Return the sum in float32."""
    return clamp(inputs[0] + inputs[1], attrs.activation)


def int8(attrs: Add, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Return the sum in int8."""
    twice_larger = 2 * max(quants[0].scale, quants[1].scale)
    lifted = [(q.astype(np.int64) - quant.zero_point) << LIFT for q, quant in zip(inputs, quants, strict=True)]
    scaled = [rescale(x, quant.scale / twice_larger) for x, quant in zip(lifted, quants, strict=True)]
    total = rescale(scaled[0] + scaled[1], twice_larger / ((1 << LIFT) * output.scale))
    return to_int8(total, output.zero_point, *int8_limits(attrs.activation, output))


ADD = Op(
    operands=(Activation(), Activation()),
    output_scale=OutputScale.CALIBRATED,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
