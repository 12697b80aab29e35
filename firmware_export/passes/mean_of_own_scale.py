"""Make a global average pool a ``mean`` where the file fixes another scale after it than before: a pool keeps its own.

Requires: scales that the file fixes, before :func:`same_scale_groups` looks for a common one.
"""

from __future__ import annotations

from firmware_export.graph import Fixed, Graph, Node, Value, assemble
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.average_pool2d import AveragePool2d
from firmware_export.ops.mean import Mean
from firmware_export.ops.reshape import Reshape


def mean_of_own_scale(graph: Graph) -> Graph:
    """Return the graph with these pools as ``mean``."""
    nodes: list[Node] = []
    rows: list[Value] = []
    for node in graph.nodes:
        if not _rescales(graph, node):
            nodes.append(node)
            continue
        pooled = graph.values[node.output]
        row = Value(f"{node.output}/row", (1, pooled.shape[-1]))
        rows.append(row)
        nodes.append(Node("mean", node.name, node.inputs, (row.name,), Mean()))
        nodes.append(Node("reshape", f"{node.name}/kept", (row.name,), node.outputs, Reshape(pooled.shape)))
    return assemble(graph.inputs, graph.outputs, nodes, [*graph.values.values(), *rows])


def _rescales(graph: Graph, node: Node) -> bool:
    x = graph.values[node.inputs[0]]
    if isinstance(node.attrs, AveragePool1d):
        everything = (node.attrs.kernel,) == x.shape[1:2]
    else:
        everything = isinstance(node.attrs, AveragePool2d) and node.attrs.kernel == x.shape[1:3]
    if not everything or x.fixed is None:
        return False
    after = _fixed_after(graph, node)
    return after is not None and after.quant != x.fixed.quant


def _fixed_after(graph: Graph, node: Node) -> Fixed | None:
    """Return what is fixed of a node's output, or of that output in another shape."""
    while True:
        fixed, reader = graph.values[node.output].fixed, graph.only_reader(node.output)
        if fixed is not None or reader is None or reader.op != "reshape":
            return fixed
        node = reader
