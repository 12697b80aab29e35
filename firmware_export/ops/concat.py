"""``concat``: activations side by side along the channels, ``[N, T, C_i]`` or ``[N, C_i]``.

Any number of inputs, all in one scale, so that integers move as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs


@dataclass(frozen=True)
class Concat(Attrs):
    """There is nothing to set."""


def shape(_attrs: Concat, inputs: Sequence[Shape]) -> Shape:
    """Return the shape with all channels.

    Raises:
        ValueError: the inputs differ in more than their channels.
    """
    if len({given[:-1] for given in inputs}) != 1:
        raise ValueError(f"concat of {', '.join(str(list(i)) for i in inputs)}: expected equal shapes but for channels")
    return *inputs[0][:-1], sum(given[-1] for given in inputs)


def float32(_attrs: Concat, inputs: Sequence[Array]) -> Array:
    """Return the channels of all inputs."""
    return np.concatenate(inputs, axis=-1)


def int8(attrs: Concat, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the channels of all inputs."""
    return float32(attrs, inputs)


CONCAT = Op(
    operands=(Activation(),),  # and any number of further ones
    output_scale=OutputScale.SAME_AS_INPUT,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
