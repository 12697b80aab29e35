"""Take a ``crop1d`` into the convolution before it as less padding: a causal layer, padded on both sides and chomped.

What is cropped is then never computed.
"""

from __future__ import annotations

from dataclasses import replace

from firmware_export.graph import Graph, Node, Value, assemble, inherit
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.crop1d import Crop1d
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d


def crop_padding(graph: Graph) -> Graph:
    """Return the graph without a crop that only cuts columns off which padding of a stride-1 convolution added."""
    nodes = list(graph.nodes)
    values: list[Value] = list(graph.values.values())
    for crop in graph.nodes:
        layer = next((node for node in nodes if crop.inputs[0] in node.outputs), None)
        merged = _merged(graph, layer, crop) if layer is not None else None
        if layer is not None and merged is not None:
            nodes[nodes.index(layer)] = merged
            nodes.remove(crop)
            values.append(inherit(graph.values[crop.output], graph.values[layer.output]))
    return assemble(graph.inputs, graph.outputs, nodes, values)


def _merged(graph: Graph, layer: Node, crop: Node) -> Node | None:
    attrs, cut = layer.attrs, crop.attrs
    if not (isinstance(cut, Crop1d) and isinstance(attrs, Conv1d | DepthwiseConv1d)):
        return None
    if attrs.stride != 1 or graph.only_reader(layer.output) is None:
        return None
    columns = graph.values[layer.output].shape[1]
    before, after = attrs.padding[0] - cut.start, attrs.padding[1] - (columns - cut.start - cut.length)
    if before < 0 or after < 0:
        return None
    return replace(layer, attrs=replace(attrs, padding=(before, after)), outputs=crop.outputs)
