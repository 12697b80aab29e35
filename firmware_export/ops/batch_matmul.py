"""``batch_matmul``: product of two activations, the inside of attention.

Operands: a ``[N, T, K]`` and b ``[N, K, S]``, or ``[N, S, K]`` when it is transposed (queries times keys).
Output ``[N, T, S]``. With several heads at once, all three have them as a second axis: ``[N, H, T, K]``.
Source of the int8 arithmetic: TFLite ``reference_ops::BatchMatMul`` for quantized types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.affine import rescale, to_int8
from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Op, OutputScale


@dataclass(frozen=True)
class BatchMatmul(Attrs):
    """Whether b comes transposed."""

    transpose_b: bool


def shape(attrs: BatchMatmul, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, T, S)`` or ``(1, H, T, S)``.

    Raises:
        ValueError: the inner lengths differ, or an operand is no series.
    """
    a, b = inputs
    if len(a) not in (3, 4) or len(b) != len(a) or a[:-2] != b[:-2]:
        raise ValueError(f"product of {a} and {b}: expected [N, T, K] and [N, K, S], or both with heads after N")
    inner, columns = (b[-1], b[-2]) if attrs.transpose_b else (b[-2], b[-1])
    if a[-1] != inner:
        raise ValueError(f"product of {a} and {b} (transposed: {attrs.transpose_b}): inner lengths {a[-1]} and {inner}")
    return *a[:-1], columns


def macs(_attrs: BatchMatmul, inputs: Sequence[Shape], output: Shape) -> int:
    """Return K products a number."""
    return int(np.prod(output)) * inputs[0][-1]


def float32(attrs: BatchMatmul, inputs: Sequence[Array]) -> Array:
    """Return the product in the type of the inputs."""
    a, b = inputs
    y: Array = a @ (b.swapaxes(-1, -2) if attrs.transpose_b else b)
    return y


def int8(attrs: BatchMatmul, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Return the product in int8: exact sums, rescaled by TFLite's rule."""
    # float64 holds every sum of up to 2^37 products of two 9-bit numbers
    centred = [q.astype(np.float64) - quant.zero_point for q, quant in zip(inputs, quants, strict=True)]
    total = float32(attrs, centred)
    return to_int8(rescale(total, quants[0].scale * quants[1].scale / output.scale), output.zero_point)


BATCH_MATMUL = Op(
    operands=(Activation(), Activation()),
    output_scale=OutputScale.CALIBRATED,
    shape=shape,
    macs=macs,
    float32=float32,
    int8=int8,
)
