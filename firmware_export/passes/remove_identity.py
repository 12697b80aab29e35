"""Remove nodes that hand on their input: a reshape to the same shape, a pool of kernel 1."""

from __future__ import annotations

from dataclasses import replace

from firmware_export.graph import Graph, Node, assemble, inherit
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.max_pool1d import MaxPool1d


def remove_identity(graph: Graph) -> Graph:
    """Return the graph without such nodes; one that writes a graph output straight from a graph input stays."""
    while found := next((node for node in graph.nodes if _hands_on(graph, node) and _removable(graph, node)), None):
        graph = _without(graph, found)
    return graph


def _hands_on(graph: Graph, node: Node) -> bool:
    if isinstance(node.attrs, MaxPool1d | AveragePool1d):
        return node.attrs.kernel == 1 and node.attrs.stride == 1
    return node.op == "reshape" and graph.values[node.inputs[0]].shape == graph.values[node.output].shape


def _removable(graph: Graph, node: Node) -> bool:
    return node.output not in graph.outputs or (
        graph.only_reader(node.inputs[0]) is node is not None and (graph.producer(node.inputs[0]) is not None)
    )


def _without(graph: Graph, identity: Node) -> Graph:
    if identity.output in graph.outputs:
        old, new = identity.inputs[0], identity.output
    else:
        old, new = identity.output, identity.inputs[0]

    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if name == old else name for name in names)

    nodes = [
        replace(node, inputs=renamed(node.inputs), outputs=renamed(node.outputs))
        for node in graph.nodes
        if node is not identity
    ]
    kept = inherit(graph.values[new], graph.values[old])
    return assemble(graph.inputs, graph.outputs, nodes, [*graph.values.values(), kept])
