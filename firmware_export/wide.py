"""int16 activations with int8 weights: the integers, and each op's reference.

Activations are symmetric (zero point 0), biases int64, sums 64 bits wide. Source of the arithmetic: TFLite's 16x8
``reference_integer_ops``: a 64-bit sum is multiplied with a 15-bit multiplier and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ExportError, UnsupportedOpError
from firmware_export.affine import SMALLEST_STEP, fixed_point, quantize_weight, rescale
from firmware_export.graph import Attrs, Graph, Node, Quantization, Range, Value, assemble
from firmware_export.ops import op_of
from firmware_export.ops.add import Add
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.conv1d import accumulate as convolve
from firmware_export.ops.crop1d import float32 as crop
from firmware_export.ops.dense import Dense
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.depthwise_conv1d import accumulate as convolve_depthwise
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.max_pool1d import pool as max_pool
from firmware_export.ops.op import Activation, Array, Bias, FusedActivation, Weight
from firmware_export.ops.relu import Relu
from firmware_export.ops.reshape import float32 as reshape
from firmware_export.ops.window1d import pad_time, patches

LOW, HIGH = -(2**15), 2**15 - 1
LIFT = 15  # bits by which ADD lifts its inputs


def quantize_wide(graph: Graph) -> Graph:
    """Return the graph with int16 activations, int8 weights and int64 biases.

    Args:
        graph: float, through ``PASSES``, calibrated, through ``RANGE_PASSES``.

    Raises:
        UnsupportedOpError: an op has no int16 form; names it and the node.
        ExportError: an activation was not calibrated.
    """
    values = {value.name: _activation(value) for value in graph.activations}
    nodes = []
    for node in graph.nodes:
        if node.op not in KERNELS:
            known = ", ".join(KERNELS)
            raise UnsupportedOpError(f"op {node.op!r} (node {node.name!r}) has no int16 form; {known} have one")
        constants = _constants(graph, node, values[node.inputs[0]].quantization)
        values.update((value.name, value) for value in constants.values())
        inputs = tuple(constants[i].name if i in constants else name for i, name in enumerate(node.inputs))
        nodes.append(replace(node, inputs=inputs))
    return assemble(graph.inputs, graph.outputs, nodes, values.values())


def run_wide(node: Node, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Return a node's int16 output, ``[N, ...]``; equals TFLite's reference kernels bit for bit.

    Raises:
        UnsupportedOpError: the op has no int16 form.
    """
    if node.op not in KERNELS:
        raise UnsupportedOpError(f"op {node.op!r} (node {node.name!r}) has no int16 form")
    return KERNELS[node.op](node.attrs, inputs, quants, output)


def wide_quantization(seen: Range) -> Quantization:
    """Return the symmetric int16 scale that covers a range."""
    scale = max(max(-seen.low, seen.high) / HIGH, SMALLEST_STEP * 2**-8)
    return Quantization((float(np.float32(scale)),))


def _activation(value: Value) -> Value:
    if value.range is None:
        raise ExportError(f"value {value.name!r} has no calibrated range; calibrate the graph before quantizing it")
    return replace(value, dtype="int16", quant=wide_quantization(value.range), range=None)


def _constants(graph: Graph, node: Node, x: Quantization) -> dict[int, Value]:
    """Return the integer weights and biases of a node by operand, under names of its own."""
    made: dict[int, Value] = {}
    for index, role in enumerate(op_of(node).operands):
        data = graph.values[node.inputs[index]].data
        if isinstance(role, Activation):
            continue
        if data is None:
            place = f"operand {index} ({node.inputs[index]!r})"
            raise UnsupportedOpError(f"op {node.op!r} (node {node.name!r}): {place} is computed, expected a constant")
        name = f"{node.output}/{node.inputs[index]}"
        if isinstance(role, Weight):
            integers, quant = quantize_weight(data, role.axis, np.zeros(1))
            made[index] = Value(name, integers.shape, "int8", quant, integers)
        elif isinstance(role, Bias):
            scales = x.scale * np.asarray(made[role.of].quantization.scales)
            quant = Quantization(tuple(float(s) for s in scales.astype(np.float32)), 0, 0)
            # a sum must stay below 2^47 for the rescaling; half of that is the bias's
            bias = np.clip(np.rint(data / scales), -(2**46), 2**46).astype(np.int64)
            made[index] = Value(name, bias.shape, "int64", quant, bias)
    return made


def rescale_wide(total: NDArray[np.int64], factors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return sums times real factors (over the last axis), rounded once, halves upward.

    Source: TFLite ``MultiplyByQuantizedMultiplier(int64_t, ...)``, for sums below 2^47.
    """
    pairs = np.asarray([fixed_point(float(f)) for f in factors], np.int64)
    multiplier = np.where(pairs[:, 0] < 0x7FFF0000, (pairs[:, 0] + (1 << 15)) >> 16, 0x7FFF)
    shift = 15 - pairs[:, 1]
    scaled: NDArray[np.int64] = (total * multiplier + (np.int64(1) << (shift - 1))) >> shift
    return scaled


def _clamped(x: NDArray[Any], activation: FusedActivation, output: Quantization) -> Array:
    low = LOW if activation is FusedActivation.NONE else 0
    six = int(np.floor(np.float32(6) / np.float32(output.scale) + np.float32(0.5)))
    high = min(six, HIGH) if activation is FusedActivation.RELU6 else HIGH
    y: Array = np.clip(x, low, high).astype(np.int16)
    return y


def _layer(
    total: NDArray[np.float64],
    activation: FusedActivation,
    inputs: Sequence[Array],
    quants: Sequence[Quantization],
    output: Quantization,
) -> Array:
    # sums of 2^22 are exact in float64 up to 2^31 products
    factors = quants[0].scale * np.asarray(quants[1].scales) / output.scale
    return _clamped(rescale_wide(total.astype(np.int64) + inputs[2], factors), activation, output)


def conv1d(attrs: Conv1d, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Convolution."""
    x = pad_time(inputs[0], attrs.padding, 0).astype(np.float64)
    return _layer(convolve(attrs, x, inputs[1].astype(np.float64)), attrs.activation, inputs, quants, output)


def depthwise_conv1d(
    attrs: DepthwiseConv1d, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization
) -> Array:
    """Depthwise convolution."""
    x = pad_time(inputs[0], attrs.padding, 0).astype(np.float64)
    total = convolve_depthwise(attrs, x, inputs[1].astype(np.float64))
    return _layer(total, attrs.activation, inputs, quants, output)


def dense(attrs: Dense, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
    """Fully connected layer."""
    total = inputs[0].astype(np.float64) @ inputs[1].astype(np.float64).T
    return _layer(total, attrs.activation, inputs, quants, output)


def average_pool1d(
    attrs: AveragePool1d, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization
) -> Array:
    """Mean of the integers, halves away from zero."""
    total = patches(inputs[0], attrs.kernel, attrs.stride, 1).sum(axis=2, dtype=np.int64)
    mean: Array = (np.sign(total) * ((np.abs(total) + attrs.kernel // 2) // attrs.kernel)).astype(np.int16)
    return mean


def max_pool1d(
    attrs: MaxPool1d, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization
) -> Array:
    """Largest of the integers."""
    return max_pool(attrs, inputs[0], LOW)


def add(attrs: Add, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization) -> Array:
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


KERNELS: Mapping[str, Callable[..., Array]] = {
    "add": add,
    "average_pool1d": average_pool1d,
    "conv1d": conv1d,
    "crop1d": _moved(crop),
    "dense": dense,
    "depthwise_conv1d": depthwise_conv1d,
    "max_pool1d": max_pool1d,
    "relu": relu,
    "reshape": _moved(reshape),
}
