"""``crop1d``: a stretch of the time axis, such as the residual of an unpadded convolution or the last column.

x ``[N, T, C]`` to ``[N, length, C]``; numbers move as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs


@dataclass(frozen=True)
class Crop1d(Attrs):
    """First step kept, and how many."""

    start: int
    length: int


def shape(attrs: Crop1d, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, length, C)``.

    Raises:
        ValueError: the stretch is empty or not inside the input.
    """
    n, t, c = inputs[0]
    if not (attrs.start >= 0 and attrs.length >= 1 and attrs.start + attrs.length <= t):
        raise ValueError(f"steps {attrs.start}..{attrs.start + attrs.length} of an input with {t} steps")
    return n, attrs.length, c


def float32(attrs: Crop1d, inputs: Sequence[Array]) -> Array:
    """Return the stretch, a view."""
    return inputs[0][:, attrs.start : attrs.start + attrs.length]


def int8(attrs: Crop1d, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the stretch, a view."""
    return float32(attrs, inputs)


CROP1D = Op(
    operands=(Activation(),),
    output_scale=OutputScale.SAME_AS_INPUT,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
