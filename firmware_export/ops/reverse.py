"""``reverse``: a series from its end to its beginning. x ``[N, T, C]``; integers move as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs


@dataclass(frozen=True)
class Reverse(Attrs):
    """There is nothing to set."""


def shape(_attrs: Reverse, inputs: Sequence[Shape]) -> Shape:
    """Return the input's shape.

    Raises:
        ValueError: the input is no series.
    """
    if len(inputs[0]) != 3:
        raise ValueError(f"{list(inputs[0])} has no time to reverse, expected [1, T, C]")
    return inputs[0]


def float32(_attrs: Reverse, inputs: Sequence[Array]) -> Array:
    """Return the reversed input, a view."""
    return inputs[0][:, ::-1]


def int8(attrs: Reverse, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the reversed input, a view."""
    return float32(attrs, inputs)


REVERSE = Op(
    operands=(Activation(),),
    output_scale=OutputScale.SAME_AS_INPUT,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
