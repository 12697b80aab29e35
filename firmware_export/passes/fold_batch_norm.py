"""Fold ``batch_norm`` into the layer before it; where there is none, make it a depthwise convolution of kernel 1.

Ensures: no ``batch_norm`` is left.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from firmware_export.graph import Graph, Node, Value, assemble
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.depthwise_conv2d import DepthwiseConv2d
from firmware_export.ops.op import ActivatedAttrs, FusedActivation
from firmware_export.ops.reshape import Reshape

# of the weight of each layer that can take it in
CHANNEL_AXIS = {"conv1d": 0, "conv2d": 0, "dense": 0, "depthwise_conv1d": 1, "depthwise_conv2d": 2}


def fold_batch_norm(graph: Graph) -> Graph:
    """Return the graph without ``batch_norm``."""
    while found := next((node for node in graph.nodes if node.op == "batch_norm"), None):
        layer = graph.producer(found.inputs[0])
        if layer is not None and can_take_in(graph, layer):
            graph = _fold(graph, layer, found)
        else:
            graph = _as_depthwise(graph, found)
    return graph


def can_take_in(graph: Graph, layer: Node) -> bool:
    """Return whether a layer can fold a ``batch_norm`` that reads it."""
    return (
        layer.op in CHANNEL_AXIS
        and isinstance(layer.attrs, ActivatedAttrs)
        and layer.attrs.activation is FusedActivation.NONE
        and graph.only_reader(layer.output) is not None
    )


def constant(graph: Graph, name: str) -> NDArray[np.float64]:
    """Return the numbers of a constant."""
    data = graph.values[name].data
    if data is None:
        raise ValueError(f"{name!r} is not a constant")
    return data.astype(np.float64)


def _fold(graph: Graph, layer: Node, norm: Node) -> Graph:
    x, weight_name, bias_name = layer.inputs
    weight, bias = constant(graph, weight_name), constant(graph, bias_name)
    scale, offset = constant(graph, norm.inputs[1]), constant(graph, norm.inputs[2])
    column = [1] * weight.ndim
    column[CHANNEL_AXIS[layer.op]] = -1
    # new names: another layer may share these constants
    folded = [
        _float(f"{norm.output}/weight", weight * scale.reshape(column)),
        _float(f"{norm.output}/bias", bias * scale + offset),
    ]
    if (scale == 1).all():  # an offset alone: the weight keeps its name, and integers that the file gave it
        folded[0] = graph.values[weight_name]
    merged = replace(layer, inputs=(x, *(v.name for v in folded)), outputs=norm.outputs)
    nodes = [merged if node is layer else node for node in graph.nodes if node is not norm]
    return assemble(graph.inputs, graph.outputs, nodes, [*graph.values.values(), *folded])


def _as_depthwise(graph: Graph, norm: Node) -> Graph:
    x, scale, offset = norm.inputs
    shape = graph.values[x].shape
    nodes: list[Node] = []
    if len(shape) == 4:
        weight = _float(f"{norm.output}/weight", constant(graph, scale)[None, None])
        image = Node("depthwise_conv2d", norm.name, (x, weight.name, offset), norm.outputs, DepthwiseConv2d())
        swapped = [image if node is norm else node for node in graph.nodes]
        return assemble(graph.inputs, graph.outputs, swapped, [*graph.values.values(), weight])
    weight = _float(f"{norm.output}/weight", constant(graph, scale)[None])
    new: list[Value] = [weight]
    source, target = x, norm.output
    if len(shape) == 2:  # a depthwise convolution wants [N, T, C]
        lifted = (1, 1, shape[1])
        source, target = f"{norm.output}/in", f"{norm.output}/out"
        new += [Value(source, lifted), Value(target, lifted)]
        nodes.append(Node("reshape", f"{norm.name}/in", (x,), (source,), Reshape(lifted)))
    nodes.append(Node("depthwise_conv1d", norm.name, (source, weight.name, offset), (target,), DepthwiseConv1d()))
    if len(shape) == 2:
        nodes.append(Node("reshape", f"{norm.name}/out", (target,), (norm.output,), Reshape(shape)))
    rewritten = [step for node in graph.nodes for step in (nodes if node is norm else [node])]
    return assemble(graph.inputs, graph.outputs, rewritten, [*graph.values.values(), *new])


def _float(name: str, data: NDArray[np.float64]) -> Value:
    return Value(name, data.shape, data=np.ascontiguousarray(data, np.float32))
