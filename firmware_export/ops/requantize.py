"""``requantize``: the same numbers in another scale, or another type: int8 to int16 and back.

Source of the arithmetic: TFLite ``reference_ops::Requantize``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.affine import INT16_MAX, INT16_MIN, rescale, to_int8
from firmware_export.graph import Attrs, Quantization
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs, same_shape


@dataclass(frozen=True)
class Requantize(Attrs):
    """There is nothing to set."""


def float32(_attrs: Requantize, inputs: Sequence[Array]) -> Array:
    """Return the input: real numbers have no scale."""
    return inputs[0]


def int8(_attrs: Requantize, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Return int8 of int8 or int16."""
    return to_int8(
        rescale(inputs[0].astype(np.int64) - quants[0].zero_point, _factor(quants, output)), output.zero_point
    )


def int16(_attrs: Requantize, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Return int16 of int8 or int16."""
    rescaled = rescale(inputs[0].astype(np.int64) - quants[0].zero_point, _factor(quants, output))
    y: Array = np.clip(rescaled, INT16_MIN, INT16_MAX).astype(np.int16)
    return y


def _factor(quants: Sequence[Quantization], output: Quantization) -> float:
    return quants[0].scale / output.scale


REQUANTIZE = Op(
    operands=(Activation(),),
    output_scale=OutputScale.CALIBRATED,
    shape=same_shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
