"""Each op's reference on int16 activations with int8 weights; sums are 64 bits wide.

Source of the arithmetic: TFLite's 16x8 ``reference_integer_ops``: a 64-bit sum is multiplied with a 15-bit multiplier
and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import UnsupportedOpError
from firmware_export.affine import rescale, rescale_wide_by, wide_points
from firmware_export.graph import Attrs, Node, Quantization
from firmware_export.ops import (
    average_pool1d,
    average_pool2d,
    batch_matmul,
    concat,
    conv1d,
    conv2d,
    crop1d,
    depthwise_conv1d,
    depthwise_conv2d,
    lstm,
    max_pool1d,
    max_pool2d,
    requantize,
    reshape,
    reverse,
    softmax,
    transpose,
)
from firmware_export.ops.add import Add
from firmware_export.ops.add_constant import AddConstant
from firmware_export.ops.batch_matmul import BatchMatmul
from firmware_export.ops.dense import Dense
from firmware_export.ops.op import Array, FusedActivation, Outputs
from firmware_export.ops.relu import Relu
from firmware_export.ops.window1d import pad_time, patches
from firmware_export.ops.window2d import pad_image, patches2d

LOW, HIGH = -(2**15), 2**15 - 1
LIFT = 15  # bits by which ADD lifts its inputs


def run_wide(node: Node, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Outputs:
    """Return a node's int16 output, ``[N, ...]``, and its states; equals TFLite's reference kernels bit for bit.

    Args:
        node: which op.
        inputs: operands in order.
        quants: of the operands, then of the outputs after the first.
        output: of the output.

    Raises:
        UnsupportedOpError: the op has no int16 form.
    """
    if node.op not in KERNELS:
        raise UnsupportedOpError(f"op {node.op!r} (node {node.name!r}) has no int16 form")
    return KERNELS[node.op](node.attrs, inputs, quants, output)


def _clamped(x: NDArray[Any], activation: FusedActivation, output: Quantization) -> Array:
    low = LOW if activation is FusedActivation.NONE else 0
    six = int(np.floor(np.float32(6) / np.float32(output.scale) + np.float32(0.5)))
    high = min(six, HIGH) if activation is FusedActivation.RELU6 else HIGH
    y: Array = np.clip(x, low, high).astype(np.int16)
    return y


def _rescaled(total: NDArray[np.float64], factors: Any) -> NDArray[np.int64]:
    # sums of 2^22 are exact in float64 up to 2^31 products
    return rescale_wide_by(total.astype(np.int64), wide_points(np.asarray(factors)))


def _layer(
    total: NDArray[np.float64],
    activation: FusedActivation,
    inputs: Sequence[Array],
    quants: Sequence[Quantization],
    output: Quantization,
) -> Array:
    factors = quants[0].scale * np.asarray(quants[1].scales) / output.scale
    return _clamped(_rescaled(total + inputs[2], factors), activation, output)


def _convolution(pad: Callable[..., Array], accumulate: Callable[..., Array]) -> Callable[..., Array]:
    """Return the kernel of a convolution that pads and sums like this."""

    def convolve(attrs: Any, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
        x = pad(inputs[0], attrs.padding, 0).astype(np.float64)
        total = accumulate(attrs, x, inputs[1].astype(np.float64))
        return _layer(total, attrs.activation, inputs, quants, output)

    return convolve


def dense(attrs: Dense, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Fully connected layer."""
    total = inputs[0].astype(np.float64) @ inputs[1].astype(np.float64).T
    return _layer(total, attrs.activation, inputs, quants, output)


def matmul(attrs: BatchMatmul, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Product of two activations."""
    total = batch_matmul.float32(attrs, [x.astype(np.float64) for x in inputs])
    factor = quants[0].scale * quants[1].scale / output.scale
    return _clamped(_rescaled(total, [factor]), FusedActivation.NONE, output)


def mean1d(attrs: average_pool1d.AveragePool1d, inputs: Sequence[Array], *_: object) -> Array:
    """Mean of the integers, halves away from zero."""
    total = patches(inputs[0], attrs.kernel, attrs.stride, 1).sum(axis=2, dtype=np.int64)
    return average_pool1d.mean_of_integers(total, attrs.kernel, np.int16)


def mean2d(attrs: average_pool2d.AveragePool2d, inputs: Sequence[Array], *_: object) -> Array:
    """Mean of the integers, halves away from zero."""
    total = patches2d(inputs[0], attrs.kernel, attrs.stride, (1, 1)).sum(axis=(3, 4), dtype=np.int64)
    return average_pool1d.mean_of_integers(total, attrs.kernel[0] * attrs.kernel[1], np.int16)


def _largest(pool: Callable[..., Array]) -> Callable[..., Array]:
    """Return the kernel of a max pool."""

    def largest(attrs: Attrs, inputs: Sequence[Array], *_: object) -> Array:
        return pool(attrs, inputs[0], LOW)

    return largest


def add(
    attrs: Add | AddConstant, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization
) -> Array:
    """Sum, in 32 bits as in int8 but lifted less."""
    twice_larger = 2 * max(quants[0].scale, quants[1].scale)
    lifted = [q.astype(np.int64) << LIFT for q in inputs]
    scaled = [rescale(x, quant.scale / twice_larger) for x, quant in zip(lifted, quants, strict=True)]
    total = rescale(scaled[0] + scaled[1], twice_larger / ((1 << LIFT) * output.scale))
    return _clamped(total, attrs.activation, output)


def relu(attrs: Relu, inputs: Sequence[Array], _quants: Sequence[Quantization], output: Quantization) -> Array:
    """Clamp."""
    return _clamped(inputs[0], attrs.activation, output)


def _moved(kernel: Callable[[Any, Sequence[Array]], Array]) -> Callable[..., Array]:
    """Return a kernel for an op that moves numbers as they are."""

    def moved(attrs: Attrs, inputs: Sequence[Array], *_: object) -> Array:
        return kernel(attrs, inputs)

    return moved


KERNELS: Mapping[str, Callable[..., Outputs]] = {
    "add": add,
    "add_constant": add,
    "average_pool1d": mean1d,
    "average_pool2d": mean2d,
    "batch_matmul": matmul,
    "concat": _moved(concat.float32),
    "conv1d": _convolution(pad_time, conv1d.accumulate),
    "conv2d": _convolution(pad_image, conv2d.accumulate),
    "crop1d": _moved(crop1d.float32),
    "dense": dense,
    "depthwise_conv1d": _convolution(pad_time, depthwise_conv1d.accumulate),
    "depthwise_conv2d": _convolution(pad_image, depthwise_conv2d.accumulate),
    "lstm": lstm.int16,
    "max_pool1d": _largest(max_pool1d.pool),
    "max_pool2d": _largest(max_pool2d.pool),
    "relu": relu,
    "requantize": requantize.int16,
    "reshape": _moved(reshape.float32),
    "reverse": _moved(reverse.float32),
    "softmax": softmax.int16,
    "transpose": _moved(transpose.float32),
}
