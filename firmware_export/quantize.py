"""Calibrated float graph to quantized graph: the one place where integers are chosen. Every target writes these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ExportError, UnsupportedOpError
from edgehar.signal import QuantParams
from firmware_export.affine import (
    INT8_MAX,
    INT8_MIN,
    activation_quantization,
    cell_quantization,
    quantize_bias,
    quantize_weight,
    smallest_weight_scale,
    to_integers,
)
from firmware_export.graph import Graph, Node, Quantization, Value, assemble, range_of_table
from firmware_export.ops import op_of
from firmware_export.ops.op import Bias, Constant, Index, OutputScale, Threshold, Weight

SAME_SCALE = 1e-5  # relative: writers multiply the two scales of a bias in float32 or in float64


def quantize(graph: Graph) -> Graph:
    """Return the int8 graph: same nodes, activations and weights int8, biases int32.

    Scales and integers that the file fixes (:class:`Fixed`) are kept; calibrated ranges decide about the rest.

    Args:
        graph: float, through ``PASSES``, calibrated, through ``RANGE_PASSES``.

    Raises:
        UnsupportedOpError: an op has no int8 form; names it and the node.
        ExportError: an activation was not calibrated.
    """
    values = {value.name: int8_activation(graph, value) for value in graph.activations}
    values.update((value.name, value) for value in int8_tables(graph, graph.nodes))
    nodes: list[Node] = []
    for node in graph.nodes:
        if op_of(node).int8 is None:
            raise UnsupportedOpError(f"op {node.op!r} (node {node.name!r}) has no int8 form")
        inputs, constants = int8_constants(graph, node, values)
        values.update((value.name, value) for value in constants)
        nodes.append(replace(node, inputs=inputs))
    return assemble(graph.inputs, graph.outputs, nodes, values.values())


def uncalibrated(graph: Graph) -> list[str]:
    """Return the activations that neither calibration nor the file nor their op gives a scale."""
    names = []
    for value in graph.activations:
        producer = graph.producer(value.name)
        own = producer is not None and isinstance(op_of(producer).output_scale, QuantParams)
        if value.range is None and value.fixed is None and not own:
            names.append(value.name)
    return names


def int8_activation(graph: Graph, value: Value) -> Value:
    """Return a calibrated activation as int8 (an LSTM's cells as int16).

    Raises:
        ExportError: it was not calibrated.
    """
    producer = graph.producer(value.name)
    if producer is not None and value.name != producer.output and value.range is not None:
        return replace(value, dtype="int16", quant=cell_quantization(value.range), range=None)
    fixed = op_of(producer).output_scale if producer is not None else None
    if isinstance(fixed, QuantParams):
        quant = Quantization((fixed.scale,), fixed.zero_point)
    elif value.fixed is not None:
        quant = value.fixed.quant
    elif value.range is not None:
        quant = activation_quantization(value.range)
    else:
        raise ExportError(f"value {value.name!r} has no calibrated range; calibrate the graph before quantizing it")
    return replace(value, dtype="int8", quant=quant, range=None, fixed=None)


def int8_tables(graph: Graph, nodes: Iterable[Node]) -> Iterator[Value]:
    """Yield the tables of these nodes as int8."""
    for node in nodes:
        for index, role in enumerate(op_of(node).operands):
            if isinstance(role, Constant):
                data = _data(graph, node, index)
                if op_of(node).output_scale is OutputScale.SAME_AS_TABLE:
                    quant = int8_activation(graph, graph.values[node.output]).quantization
                else:
                    quant = activation_quantization(range_of_table(data))
                yield Value(node.inputs[index], data.shape, "int8", quant, to_integers(data, quant))


def int8_constants(graph: Graph, node: Node, values: dict[str, Value]) -> tuple[tuple[str, ...], list[Value]]:
    """Return the node's inputs with its constants under names of its own, and these constants as integers.

    Two nodes may share float weights, but not integers: the bias depends on the scale of the node's input.
    """
    names, made = list(node.inputs), []
    x = values[node.inputs[0]].quantization
    operands = op_of(node).operands
    with_bias = {role.of for role in operands if isinstance(role, Bias)}
    for index, role in enumerate(operands):
        if isinstance(role, Weight) and index not in with_bias:
            weight_q, weight_quant = weight_integers(graph, node, index, role, np.zeros(1))
            names[index] = _own_name(graph, node, names[index])
            made.append(Value(names[index], weight_q.shape, "int8", weight_quant, weight_q))
        if isinstance(role, Index):
            made.append(replace(graph.values[names[index]], quant=Quantization((1.0,))))
        if isinstance(role, Threshold):
            names[index] = _own_name(graph, node, names[index])
            made.append(_threshold(names[index], _data(graph, node, index), values[node.inputs[role.of]].quantization))
        if not isinstance(role, Bias):
            continue
        weight_role = operands[role.of]
        if not isinstance(weight_role, Weight):
            raise ExportError(f"op {node.op!r}: the bias at operand {index} belongs to no weight")
        smallest = smallest_weight_scale(_data(graph, node, index), x)
        weight_q, weight_quant = weight_integers(graph, node, role.of, weight_role, smallest)
        bias_q, bias_quant = _bias(graph, node, index, x, weight_quant)
        names[role.of], names[index] = (_own_name(graph, node, names[i]) for i in (role.of, index))
        made.append(Value(names[role.of], weight_q.shape, "int8", weight_quant, weight_q))
        made.append(Value(names[index], bias_q.shape, "int32", bias_quant, bias_q))
    return tuple(names), made


def weight_integers(
    graph: Graph, node: Node, index: int, role: Weight, smallest: NDArray[np.float64]
) -> tuple[NDArray[np.int8], Quantization]:
    """Return a weight's integers: those that the file fixes in scales along the op's axis, else our choice."""
    data, fixed = _data(graph, node, index), graph.values[node.inputs[index]].fixed
    if fixed is not None and fixed.integers is not None and fixed.integers.dtype == np.int8:
        scales, axis = fixed.quant.scales, fixed.quant.axis
        if len(set(scales)) == 1:  # one scale for all is one an entry of any axis
            channels = 1 if role.axis is None else data.shape[role.axis]
            return fixed.integers, Quantization(scales[:1] * channels, 0, role.axis)
        if axis == role.axis:
            return fixed.integers, fixed.quant
    return quantize_weight(data, role.axis, smallest)


def _bias(
    graph: Graph, node: Node, index: int, x: Quantization, weight: Quantization
) -> tuple[NDArray[np.int32], Quantization]:
    """Return a bias's integers: those that the file fixes in the scale of input times weight, else our choice."""
    bias, quant = quantize_bias(_data(graph, node, index), x, weight)
    fixed = graph.values[node.inputs[index]].fixed
    if fixed is not None and fixed.integers is not None and fixed.integers.dtype == np.int32:
        apart = np.abs(np.asarray(fixed.quant.scales) / np.asarray(quant.scales) - 1).max()
        if apart < SAME_SCALE:
            return fixed.integers, quant
    return bias, quant


def _threshold(name: str, data: NDArray[Any], of: Quantization) -> Value:
    """Return ``t`` with ``q > t`` wherever the real number that ``q`` means is greater than ``data``."""
    lowered = np.floor(data.astype(np.float64) / of.scale + of.zero_point)
    return Value(name, data.shape, "int8", of, np.clip(lowered, INT8_MIN, INT8_MAX).astype(np.int8))


def _data(graph: Graph, node: Node, index: int) -> NDArray[Any]:
    data = graph.values[node.inputs[index]].data
    if data is None:
        raise UnsupportedOpError(
            f"op {node.op!r} (node {node.name!r}): operand {index} ({node.inputs[index]!r}) is computed while running, "
            "expected a constant"
        )
    return data


def _own_name(graph: Graph, node: Node, name: str) -> str:
    return name if len(graph.consumers(name)) == 1 else f"{node.output}/{name}"
