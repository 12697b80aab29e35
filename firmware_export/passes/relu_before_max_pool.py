"""Swap a max pool and the ``relu`` after it, so that the clamp fuses into the layer before the pool.

The two commute. A pool keeps the scale of its input: left behind the pool, the clamp would spend half of the
integers on negative numbers that it throws away.
"""

from __future__ import annotations

from dataclasses import replace

from firmware_export.graph import Graph, Node, assemble

MAX_POOLS = ("max_pool1d", "max_pool2d")


def relu_before_max_pool(graph: Graph) -> Graph:
    """Return the graph without a ``relu`` whose input only it reads and a max pool computes."""
    while found := next((pair for node in graph.nodes if (pair := _pool_and_relu(graph, node))), None):
        graph = _swapped(graph, *found)
    return graph


def _pool_and_relu(graph: Graph, relu: Node) -> tuple[Node, Node] | None:
    pool = graph.producer(relu.inputs[0])
    if relu.op != "relu" or pool is None or pool.op not in MAX_POOLS or graph.only_reader(pool.output) is None:
        return None
    return pool, relu


def _swapped(graph: Graph, pool: Node, relu: Node) -> Graph:
    between = replace(graph.values[pool.output], shape=graph.values[pool.inputs[0]].shape)
    clamp = replace(relu, inputs=pool.inputs, outputs=pool.outputs)
    last = replace(pool, inputs=pool.outputs, outputs=relu.outputs)
    nodes = [clamp if node is pool else last if node is relu else node for node in graph.nodes]
    return assemble(graph.inputs, graph.outputs, nodes, [*graph.values.values(), between])
