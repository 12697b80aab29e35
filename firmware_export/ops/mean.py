"""``mean``: of each channel over the whole series or image, in a scale of its own; other people's int8 files have it.

x ``[N, T, C]`` or ``[N, H, W, C]`` to ``[N, C]``. Our own networks pool with ``average_pool1d`` instead.
Source of the int8 arithmetic: TFLite ``reference_ops::QuantizedMeanOrSum``: the count goes into the multiplier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.affine import fixed_point, rescale_by, to_int8
from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, OutputScale, no_macs


@dataclass(frozen=True)
class Mean(Attrs):
    """There is nothing to set."""


def shape(_attrs: Mean, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, C)``.

    Raises:
        ValueError: the input is neither a series nor an image.
    """
    if len(inputs[0]) not in (3, 4):
        raise ValueError(f"mean of {list(inputs[0])}, expected [1, T, C] or [1, H, W, C]")
    return inputs[0][0], inputs[0][-1]


def float32(_attrs: Mean, inputs: Sequence[Array]) -> Array:
    """Return the mean in float32."""
    x = inputs[0].reshape(len(inputs[0]), -1, inputs[0].shape[-1])
    y: Array = x.mean(axis=1, dtype=np.float32)
    return y


def int8(_attrs: Mean, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Return the mean in int8."""
    x = inputs[0].reshape(len(inputs[0]), -1, inputs[0].shape[-1])
    total = x.sum(axis=1, dtype=np.int64) - x.shape[1] * quants[0].zero_point
    multiplier, shift = fixed_point(quants[0].scale / output.scale)
    lift = min(x.shape[1].bit_length() - 1, 32, 31 + shift)  # the count's power of two, at no loss of bits
    factors = np.asarray([[(multiplier << lift) // x.shape[1]], [shift - lift]], np.int64)
    return to_int8(rescale_by(total, factors), output.zero_point)


MEAN = Op(
    operands=(Activation(),),
    output_scale=OutputScale.CALIBRATED,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
