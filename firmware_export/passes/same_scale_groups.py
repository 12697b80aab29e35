"""Give both sides of pools, reshapes, clamps and concatenations one range: the int8 kernels move integers as they are.

Requires: calibrated ranges, or scales that the file fixes. Ensures: every op with ``OutputScale.SAME_AS_INPUT`` has
one range on all sides, which covers all of them, and one with ``SAME_AS_TABLE`` that of its table; what is chained
through such ops ends up with one range too. Where
one scale is fixed on some side (by the file, or by the op that computes it), it is that of all; where several are,
the range that covers them counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from edgehar.signal import QuantParams
from firmware_export.affine import INT8_MAX, INT8_MIN
from firmware_export.graph import Fixed, Graph, Quantization, Range, Value, assemble, range_of_table
from firmware_export.ops import op_of
from firmware_export.ops.op import Constant, OutputScale


def same_scale_groups(graph: Graph) -> Graph:
    """Return the graph with these ranges made equal."""
    graph = _with_table_ranges(graph)
    group = {value.name: {value.name} for value in graph.activations}
    for node in graph.nodes:
        if op_of(node).output_scale is OutputScale.SAME_AS_INPUT:
            merged = set().union(*(group[name] for name in (*node.inputs, node.output)))
            group.update(dict.fromkeys(merged, merged))
    values = dict(graph.values)
    for name, members in group.items():
        if len(members) > 1:
            values[name] = _common(graph, values[name], members)
    return assemble(graph.inputs, graph.outputs, graph.nodes, values.values())


def _with_table_ranges(graph: Graph) -> Graph:
    """Give what is taken from a table the range of the whole table: other windows take other rows."""
    values = dict(graph.values)
    for node in graph.nodes:
        if op_of(node).output_scale is OutputScale.SAME_AS_TABLE:
            place = [isinstance(role, Constant) for role in op_of(node).operands].index(True)
            table = graph.values[node.inputs[place]].data
            if table is not None:
                values[node.output] = replace(values[node.output], range=range_of_table(table))
    return assemble(graph.inputs, graph.outputs, graph.nodes, values.values())


def _common(graph: Graph, value: Value, members: Iterable[str]) -> Value:
    fixed = {quant for member in members if (quant := _fixed_scale(graph, member)) is not None}
    if len(fixed) == 1:
        return replace(value, fixed=Fixed(fixed.pop()))
    ranges = [r for member in members if (r := graph.values[member].range) is not None]
    ranges += [_range_of(quant) for quant in fixed]
    if not ranges:
        return value
    return replace(value, range=Range(min(r.low for r in ranges), max(r.high for r in ranges)), fixed=None)


def _fixed_scale(graph: Graph, name: str) -> Quantization | None:
    producer, fixed = graph.producer(name), graph.values[name].fixed
    rule = op_of(producer).output_scale if producer is not None and producer.output == name else None
    if isinstance(rule, QuantParams):
        return Quantization((rule.scale,), rule.zero_point)
    return None if fixed is None else fixed.quant


def _range_of(quant: Quantization) -> Range:
    low, high = ((end - quant.zero_point) * quant.scale for end in (INT8_MIN, INT8_MAX))
    return Range(low, high)
