"""``relu``: a clamp at 0 (or to 0..6) that no layer before it could take in.

Source of the int8 arithmetic: TFLite ``reference_ops::ReluX`` with equal scales: a clamp of the integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.graph import Quantization
from firmware_export.ops.op import (
    ActivatedAttrs,
    Activation,
    Array,
    FusedActivation,
    Op,
    OutputScale,
    clamp,
    int8_limits,
    no_macs,
    same_shape,
)


@dataclass(frozen=True)
class Relu(ActivatedAttrs):
    """Which clamp."""

    activation: FusedActivation = FusedActivation.RELU


def float32(attrs: Relu, inputs: Sequence[Array]) -> Array:
    """Return the clamped input."""
    return clamp(inputs[0].copy(), attrs.activation)


def int8(attrs: Relu, inputs: Sequence[Array], _quants: Sequence[Quantization], output: Quantization) -> Array:
    """Return the clamped integers; input and output share one scale."""
    return np.clip(inputs[0], *int8_limits(attrs.activation, output))


RELU = Op(
    operands=(Activation(),),
    output_scale=OutputScale.SAME_AS_INPUT,
    shape=same_shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
