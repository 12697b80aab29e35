"""Give the output of pools, reshapes and clamps the range of their input: the int8 kernels move integers as they are.

Requires: calibrated ranges. Ensures: every op with ``OutputScale.SAME_AS_INPUT`` has one range on both sides.
"""

from __future__ import annotations

from dataclasses import replace

from firmware_export.graph import Graph, assemble
from firmware_export.ops import op_of
from firmware_export.ops.op import OutputScale


def same_scale_groups(graph: Graph) -> Graph:
    """Return the graph with these ranges made equal, in running order so that chains end up with one."""
    values = dict(graph.values)
    for node in graph.nodes:
        if op_of(node).output_scale is OutputScale.SAME_AS_INPUT:
            values[node.output] = replace(values[node.output], range=values[node.inputs[0]].range)
    return assemble(graph.inputs, graph.outputs, graph.nodes, values.values())
