"""Give both sides of pools, reshapes, clamps and concatenations one range: the int8 kernels move integers as they are.

Requires: calibrated ranges. Ensures: every op with ``OutputScale.SAME_AS_INPUT`` has one range on all sides, which
covers all of them; what is chained through such ops ends up with one range too.
"""

from __future__ import annotations

from dataclasses import replace

from firmware_export.graph import Graph, Range, assemble
from firmware_export.ops import op_of
from firmware_export.ops.op import OutputScale


def same_scale_groups(graph: Graph) -> Graph:
    """Return the graph with these ranges made equal."""
    group = {value.name: {value.name} for value in graph.activations}
    for node in graph.nodes:
        if op_of(node).output_scale is OutputScale.SAME_AS_INPUT:
            merged = set().union(*(group[name] for name in (*node.inputs, node.output)))
            group.update(dict.fromkeys(merged, merged))
    values = dict(graph.values)
    for name, members in group.items():
        ranges = [r for member in members if (r := graph.values[member].range) is not None]
        if len(members) > 1 and ranges:
            common = Range(min(r.low for r in ranges), max(r.high for r in ranges))
            values[name] = replace(values[name], range=common)
    return assemble(graph.inputs, graph.outputs, graph.nodes, values.values())
