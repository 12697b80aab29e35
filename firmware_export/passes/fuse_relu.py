"""Move a ``relu`` into the layer before it, as that layer's clamp: no pass over memory, no bit lost to the sign."""

from __future__ import annotations

from dataclasses import replace

from firmware_export.graph import Graph, Node, Value, assemble, inherit
from firmware_export.ops.op import ActivatedAttrs, FusedActivation

CAN_CLAMP = ("add", "conv1d", "conv2d", "dense", "depthwise_conv1d", "depthwise_conv2d")


def fuse_relu(graph: Graph) -> Graph:
    """Return the graph with every ``relu`` whose layer has no other reader fused into that layer."""
    nodes: list[Node] = list(graph.nodes)
    values: list[Value] = list(graph.values.values())
    for relu in [node for node in graph.nodes if node.op == "relu"]:
        layer = next((node for node in nodes if relu.inputs[0] in node.outputs), None)
        if layer is None or layer.op not in CAN_CLAMP or graph.only_reader(relu.inputs[0]) is None:
            continue
        if not (isinstance(layer.attrs, ActivatedAttrs) and isinstance(relu.attrs, ActivatedAttrs)):
            continue
        if layer.attrs.activation is not FusedActivation.NONE:
            continue
        attrs = replace(layer.attrs, activation=relu.attrs.activation)
        nodes[nodes.index(layer)] = replace(layer, attrs=attrs, outputs=relu.outputs)
        nodes.remove(relu)
        # a clamp at the layer's own scale: the same integers as a clamp after it
        values.append(inherit(graph.values[relu.output], graph.values[relu.inputs[0]]))
    return assemble(graph.inputs, graph.outputs, nodes, values)
