"""Fold ``batch_norm`` into the layers after it where no layer before can take it in: the gain of a normalization."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from firmware_export.graph import Graph, Node, Value, assemble
from firmware_export.ops.conv1d import Conv1d
from firmware_export.passes.fold_batch_norm import can_take_in, constant


def scale_into_readers(graph: Graph) -> Graph:
    """Return the graph without a ``batch_norm`` whose readers are all dense layers or unpadded convolutions."""
    while found := next((node for node in graph.nodes if node.op == "batch_norm" and _foldable(graph, node)), None):
        graph = _fold(graph, found)
    return graph


def _foldable(graph: Graph, norm: Node) -> bool:
    before, readers = graph.producer(norm.inputs[0]), graph.consumers(norm.output)
    if (before is not None and can_take_in(graph, before)) or norm.output in graph.outputs or not readers:
        return False
    return all(_takes_in(reader) for reader in readers)


def _takes_in(reader: Node) -> bool:
    if isinstance(reader.attrs, Conv1d):  # padding is zeros after the offset, not before
        return reader.attrs.groups == 1 and reader.attrs.padding == (0, 0)
    return reader.op == "dense"


def _fold(graph: Graph, norm: Node) -> Graph:
    x, scale, offset = norm.inputs[0], constant(graph, norm.inputs[1]), constant(graph, norm.inputs[2])
    new: list[Value] = []
    nodes = [node for node in graph.nodes if node is not norm]
    for reader in graph.consumers(norm.output):
        weight, bias = (constant(graph, name) for name in reader.inputs[1:])
        summed = weight.sum(axis=tuple(range(1, weight.ndim - 1))) if weight.ndim > 2 else weight
        folded = list(_floats(reader, weight * scale, bias + summed @ offset))
        nodes[nodes.index(reader)] = replace(reader, inputs=(x, *(value.name for value in folded)))
        new += folded
    return assemble(graph.inputs, graph.outputs, nodes, [*graph.values.values(), *new])


def _floats(reader: Node, *arrays: np.ndarray) -> Iterator[Value]:
    for name, array in zip(("weight", "bias"), arrays, strict=True):  # new names: layers may share constants
        yield Value(f"{reader.output}/scaled_{name}", array.shape, data=np.ascontiguousarray(array, np.float32))
