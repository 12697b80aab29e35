"""``batch_norm``: ``x * scale + offset`` for each channel, as read; ``fold_batch_norm`` removes it.

Operands: x ``[N, T, C]`` or ``[N, C]``, scale ``[C]``, offset ``[C]`` (mean, variance and epsilon already worked in).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.graph import Attrs, Shape
from firmware_export.ops.op import Activation, Array, Bias, Op, OutputScale, Weight, same_shape


@dataclass(frozen=True)
class BatchNorm(Attrs):
    """There is nothing to set."""


def macs(_attrs: BatchNorm, _inputs: Sequence[Shape], output: Shape) -> int:
    """Return one product a number."""
    return int(np.prod(output))


def float32(_attrs: BatchNorm, inputs: Sequence[Array]) -> Array:
    """Return the normalized input."""
    x, scale, offset = inputs
    return x * scale + offset


BATCH_NORM = Op(
    operands=(Activation(), Weight(axis=0), Bias(of=1)),
    output_scale=OutputScale.CALIBRATED,
    shape=same_shape,
    macs=macs,
    float32=float32,
    int8=None,
)
