"""``reshape``: the same numbers in the same order under another shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs


@dataclass(frozen=True)
class Reshape(Attrs):
    """The new shape, N (1) included."""

    shape: Shape


def shape(attrs: Reshape, _inputs: Sequence[Shape]) -> Shape:
    """Return the new shape."""
    return attrs.shape


def float32(attrs: Reshape, inputs: Sequence[Array]) -> Array:
    """Return the reshaped input."""
    return inputs[0].reshape(len(inputs[0]), *attrs.shape[1:])


def int8(attrs: Reshape, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the reshaped input."""
    return float32(attrs, inputs)


RESHAPE = Op(
    operands=(Activation(),),
    output_scale=OutputScale.SAME_AS_INPUT,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
