"""``transpose``: the axes in another order, N first; numbers move as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs


@dataclass(frozen=True)
class Transpose(Attrs):
    """For each axis of the output the axis of the input that it is; the first is 0."""

    order: tuple[int, ...]


def shape(attrs: Transpose, inputs: Sequence[Shape]) -> Shape:
    """Return the input's lengths in the new order.

    Raises:
        ValueError: the order is none of the input's axes, or moves N.
    """
    if attrs.order[:1] != (0,) or sorted(attrs.order) != list(range(len(inputs[0]))):
        raise ValueError(f"order {attrs.order} of the axes of {list(inputs[0])}")
    return tuple(inputs[0][axis] for axis in attrs.order)


def float32(attrs: Transpose, inputs: Sequence[Array]) -> Array:
    """Return the input with its axes in the new order."""
    y: Array = inputs[0].transpose(attrs.order)
    return y.copy()


def int8(attrs: Transpose, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the input with its axes in the new order."""
    return float32(attrs, inputs)


TRANSPOSE = Op(
    operands=(Activation(),),
    output_scale=OutputScale.SAME_AS_INPUT,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
