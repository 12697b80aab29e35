"""int16 activations with int8 weights: which integers. The arithmetic on them is in ``wide_kernels``.

Activations are symmetric (zero point 0), biases int64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgehar.errors import ExportError, UnsupportedOpError
from firmware_export.affine import INT16_MAX, SMALLEST_STEP, cell_quantization, to_integers
from firmware_export.graph import Graph, Node, Quantization, Range, Value, assemble
from firmware_export.ops import op_of
from firmware_export.ops.op import Activation, Bias, Weight
from firmware_export.quantize import weight_integers
from firmware_export.wide_kernels import KERNELS

FIXED_OUTPUTS: Mapping[str, Quantization] = {"softmax": Quantization((2.0**-15,))}


def quantize_wide(graph: Graph) -> Graph:
    """Return the graph with int16 activations, int8 weights and int64 biases.

    Args:
        graph: float, through ``PASSES``, calibrated, through ``RANGE_PASSES``.

    Raises:
        UnsupportedOpError: an op has no int16 form; names it and the node.
        ExportError: an activation was not calibrated.
    """
    values = {value.name: int16_activation(graph, value) for value in graph.activations}
    nodes = []
    for node in graph.nodes:
        if node.op not in KERNELS:
            raise UnsupportedOpError(
                f"op {node.op!r} (node {node.name!r}) has no int16 form; the recipe mixed_wi8 leaves it in int8"
            )
        constants = int16_constants(graph, node, values[node.inputs[0]].quantization)
        values.update((value.name, value) for value in constants.values())
        inputs = tuple(constants[i].name if i in constants else name for i, name in enumerate(node.inputs))
        nodes.append(replace(node, inputs=inputs))
    return assemble(graph.inputs, graph.outputs, nodes, values.values())


def wide_quantization(seen: Range) -> Quantization:
    """Return the symmetric int16 scale that covers a range."""
    scale = max(max(-seen.low, seen.high) / INT16_MAX, SMALLEST_STEP * 2**-8)
    return Quantization((float(np.float32(scale)),))


def int16_activation(graph: Graph, value: Value) -> Value:
    """Return a calibrated activation as int16.

    Raises:
        ExportError: it was not calibrated.
    """
    if value.range is None:
        raise ExportError(f"value {value.name!r} has no calibrated range; calibrate the graph before quantizing it")
    producer = graph.producer(value.name)
    if producer is not None and value.name != producer.output:
        return replace(value, dtype="int16", quant=cell_quantization(value.range), range=None, fixed=None)
    if producer is not None and producer.op in FIXED_OUTPUTS:
        return replace(value, dtype="int16", quant=FIXED_OUTPUTS[producer.op], range=None, fixed=None)
    return replace(value, dtype="int16", quant=wide_quantization(value.range), range=None, fixed=None)


def int16_constants(graph: Graph, node: Node, x: Quantization) -> dict[int, Value]:
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
            integers, quant = weight_integers(graph, node, index, role, np.zeros(1))
            made[index] = Value(name, integers.shape, "int8", quant, integers)
        elif isinstance(role, Bias):
            weight = made[role.of].quantization
            scales = x.scale * np.asarray(weight.scales)
            axis = None if weight.axis is None else 0
            quant = Quantization(tuple(float(s) for s in scales.astype(np.float32)), 0, axis)
            # a sum must stay below 2^47 for the rescaling; half of that is the bias's
            bias = np.clip(np.rint(data / scales), -(2**46), 2**46).astype(np.int64)
            made[index] = Value(name, bias.shape, "int64", quant, bias)
        else:
            quant = wide_quantization(Range(min(float(data.min()), 0.0), max(float(data.max()), 0.0)))
            made[index] = Value(name, data.shape, "int16", quant, to_integers(data, quant, "int16"))
    return made
