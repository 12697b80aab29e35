"""``add_constant``: an activation plus a table of the same shape, such as a positional encoding.

Operands: x ``[N, T, C]`` or ``[N, C]``, table with N = 1. One number a channel is a bias instead (``batch_norm``).
Source of the int8 arithmetic: as ``add``, the table in its own asymmetric scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firmware_export.graph import Quantization, Shape
from firmware_export.ops import add
from firmware_export.ops.op import ActivatedAttrs, Activation, Array, Constant, Op, OutputScale, no_macs


@dataclass(frozen=True)
class AddConstant(ActivatedAttrs):
    """Settings of an addition."""


def shape(_attrs: AddConstant, inputs: Sequence[Shape]) -> Shape:
    """Return the common shape.

    Raises:
        ValueError: the shapes differ.
    """
    return add.shape(add.Add(), inputs)


def float32(attrs: AddConstant, inputs: Sequence[Array]) -> Array:
    """Return the sum in float32."""
    return add.float32(add.Add(attrs.activation), inputs)


def int8(attrs: AddConstant, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Return the sum in int8."""
    return add.int8(add.Add(attrs.activation), inputs, quants, output)


ADD_CONSTANT = Op(
    operands=(Activation(), Constant()),
    output_scale=OutputScale.CALIBRATED,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
