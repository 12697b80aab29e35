"""Re-order the columns of a ``dense`` layer so that nothing has to be transposed before it is flattened.

Converters that hold series channels-first flatten them so. Integers stay as they are, so it holds for them too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.graph import Graph, Node, Value, assemble
from firmware_export.ops.transpose import Transpose


def transpose_into_dense(graph: Graph) -> Graph:
    """Return the graph without a ``transpose`` that only a ``reshape`` to rows and then only ``dense`` layers read."""
    while found := next((pair for node in graph.nodes if (pair := _before_dense(graph, node)) is not None), None):
        graph = _without(graph, *found)
    return graph


def _before_dense(graph: Graph, node: Node) -> tuple[Node, Node] | None:
    flat = graph.only_reader(node.output)
    if node.op != "transpose" or flat is None or flat.op != "reshape" or flat.output in graph.outputs:
        return None
    readers = graph.consumers(flat.output)
    if not readers or any(reader.op != "dense" for reader in readers):
        return None
    return node, flat


def _without(graph: Graph, turn: Node, flat: Node) -> Graph:
    if not isinstance(turn.attrs, Transpose):
        raise ValueError(f"node {turn.name!r} has attributes {turn.attrs}")
    source, turned = graph.values[turn.inputs[0]], graph.values[turn.output]
    # for each place of the flattened source, where the transpose put it
    places = np.arange(int(np.prod(turned.shape))).reshape(turned.shape).transpose(np.argsort(turn.attrs.order)).ravel()
    new: list[Value] = []
    nodes = [node for node in graph.nodes if node is not turn]
    nodes[nodes.index(flat)] = replace(flat, inputs=(source.name,))
    for dense in graph.consumers(flat.output):
        weight = graph.values[dense.inputs[1]]
        name = f"{dense.output}/columns"
        new.append(replace(_columns(weight, places), name=name))
        nodes[nodes.index(dense)] = replace(dense, inputs=(dense.inputs[0], name, dense.inputs[2]))
    return assemble(graph.inputs, graph.outputs, nodes, [*graph.values.values(), *new])


def _columns(weight: Value, places: NDArray[np.intp]) -> Value:
    def ordered(data: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if data is None else np.ascontiguousarray(data[:, places])

    fixed = weight.fixed
    if fixed is not None:
        fixed = replace(fixed, integers=ordered(fixed.integers))
    return replace(weight, data=ordered(weight.data), fixed=fixed)
