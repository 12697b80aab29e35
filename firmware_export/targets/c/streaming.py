"""A network that computes only the columns which a hop brings, and keeps the others: the same bits as on whole windows.

A value streams when its columns in the next window are those of this one, moved by ``hop / samples a column`` and with
new ones behind. The graph of a hop has the same nodes and weights, and only the newest columns of such a value; what a
node reads from before them is a ``crop1d`` that begins below 0: these columns lie in memory before the new ones.

Rules:
1. Convolutions and pools without padding, crops, and ops on single numbers or columns stream when all they read does.
2. Anything else runs over the whole window, and so does what reads it: at the end of a network that is little.
3. A hop is a multiple of the samples a column of every streamed value, unless two windows share no column of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgehar.c_pipeline import Streaming
from edgehar.errors import UnsupportedOpError, UsageError
from firmware_export.graph import Graph, Node, Value, assemble
from firmware_export.ops import node_macs
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.crop1d import Crop1d
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.max_pool1d import MaxPool1d

COLUMN_BY_COLUMN = ("add", "concat", "relu", "requantize")
OBSTACLES = {
    "add_constant": "adds another number to every column of the window",
    "batch_matmul": "brings every column together with every other",
    "lstm": "starts anew with every window",
    "reverse": "begins with the newest column",
}


@dataclass(frozen=True, eq=False)
class Stream:
    """A network as it runs every hop.

    Attributes:
        graph: of a hop.
        kept: columns that stay in memory before the new ones, by value.
        feeding: window, hop, and how many of the newest samples the network is given every hop.
        macs: multiply-accumulates a hop.
        window_macs: of the same network over a whole window.
        rest: the first layer that runs over the whole window, and why; empty where none does.
    """

    graph: Graph
    kept: Mapping[str, int]
    feeding: Streaming
    macs: int
    window_macs: int
    rest: str


def stream(graph: Graph, window: int, hop: int) -> Stream:
    """Return the graph of a hop.

    Args:
        graph: quantized, its inputs ``[1, window, C]``.
        window: in samples.
        hop: in samples.

    Raises:
        UnsupportedOpError: nothing that multiplies streams; names the layer in the way and the reason.
        UsageError: the hop is not a multiple of the network's stride; names the nearest that are.
    """
    samples, rest = _samples_a_column(graph, window)
    if not any(node_macs(graph, node) for node in graph.nodes if node.output in samples):
        raise UnsupportedOpError(f"target 'c' cannot stream this network: {rest}; leave --streaming away")
    new = _new_columns(graph, samples, hop)
    needed = _needed_columns(graph, new)
    rows = min(window, max(hop, *(needed[name] for name in graph.inputs)))
    of_hop = _graph_of_hop(graph, new, rows)
    kept = {
        node.output: needed[node.output] - new[node.output]
        for node in graph.nodes
        if node.output in new and node.op != "crop1d" and needed[node.output] > new[node.output]
    }
    macs, window_macs = (sum(node_macs(g, node) for node in g.nodes) for g in (of_hop, graph))
    return Stream(of_hop, kept, Streaming(window, hop, rows), macs, window_macs, rest)


def _samples_a_column(graph: Graph, window: int) -> tuple[dict[str, int], str]:
    """Return the samples a column of every value that streams (rules 1, 2), and what is in the way of the next one."""
    samples = dict.fromkeys(graph.inputs, 1)
    rest = ""
    for name in graph.inputs:
        if len(graph.values[name].shape) != 3 or graph.values[name].shape[1] != window:
            return {}, f"its input {name!r} is no window of {window} samples, but what was computed from one"
    for node in graph.nodes:
        reads = _activations(graph, node)
        if not all(name in samples for name in reads):
            continue
        obstacle = _obstacle(graph, node, {samples[name] for name in reads})
        if obstacle:
            rest = rest or f"layer {node.name!r} ({node.op}) {obstacle}"
        else:
            samples[node.output] = samples[reads[0]] * _sliding(node)[1]
    return samples, rest


def _obstacle(graph: Graph, node: Node, samples: set[int]) -> str:
    """Return why a node does not stream though all it reads does; nothing where it does."""
    attrs, shape = node.attrs, graph.values[node.output].shape
    if node.output in graph.outputs:
        return "is an output of the network"
    if isinstance(attrs, Conv1d | DepthwiseConv1d | MaxPool1d) and attrs.padding != (0, 0):
        return (
            f"pads its input ({attrs.padding[0]} before, {attrs.padding[1]} after), so its columns change at the edges"
        )
    if isinstance(attrs, Conv1d | DepthwiseConv1d | MaxPool1d | AveragePool1d):
        return "looks at the whole window" if shape[1] == 1 else ""
    if len(samples) > 1:
        return f"reads columns of {' and '.join(map(str, sorted(samples)))} samples"
    if node.op in COLUMN_BY_COLUMN or isinstance(attrs, Crop1d):
        return ""
    return OBSTACLES.get(node.op, "looks at the whole window")


def _activations(graph: Graph, node: Node) -> list[str]:
    return [name for name in node.inputs if graph.values[name].data is None]


def _sliding(node: Node) -> tuple[int, int]:
    """Return how many columns a column of the output sees, and how many lie between two of them."""
    attrs = node.attrs
    if isinstance(attrs, Conv1d | DepthwiseConv1d):
        return (attrs.kernel - 1) * attrs.dilation + 1, attrs.stride
    if isinstance(attrs, MaxPool1d | AveragePool1d):
        return attrs.kernel, attrs.stride
    return 1, 1


def _new_columns(graph: Graph, samples: Mapping[str, int], hop: int) -> dict[str, int]:
    """Return how many columns of each streamed value a hop brings (rule 3)."""
    columns = {name: graph.values[name].shape[1] for name in samples}
    shared = {name: each for name, each in samples.items() if hop < columns[name] * each}
    stride = math.lcm(*shared.values())
    if hop % stride:
        stride = math.lcm(*samples.values())
        below, above = hop // stride * stride, (hop // stride + 1) * stride
        nearest = " or ".join(str(h) for h in sorted((h for h in (below, above) if h), key=lambda h: abs(h - hop)))
        raise UsageError(
            f"a hop of {hop} samples does not stream: the network has a column every {stride} samples, so hops are "
            f"multiples of that; the nearest: {nearest}"
        )
    return {name: hop // each if name in shared else columns[name] for name, each in samples.items()}


def _needed_columns(graph: Graph, new: Mapping[str, int]) -> dict[str, int]:
    """Return how many of the newest columns of each streamed value have to be in memory."""
    needed = dict(new)
    for node in reversed(graph.nodes):
        for name in _activations(graph, node):
            if name in new:
                needed[name] = max(needed[name], graph.values[name].shape[1] - _first_read(graph, node, needed, new))
    return needed


def _first_read(graph: Graph, node: Node, needed: Mapping[str, int], new: Mapping[str, int]) -> int:
    """Return the first column of its inputs that a node reads, counted in the window."""
    if node.output not in new:
        return 0
    columns = graph.values[node.output].shape[1]
    if isinstance(node.attrs, Crop1d):
        return node.attrs.start + columns - needed[node.output]  # a view: what reads it reads through it
    return (columns - new[node.output]) * _sliding(node)[1]


def _graph_of_hop(graph: Graph, new: Mapping[str, int], rows: int) -> Graph:
    present = {**new, **dict.fromkeys(graph.inputs, rows)}  # columns that a value of the graph of a hop has
    values: dict[str, Value] = {
        name: replace(value, shape=(1, present[name], value.shape[2])) if name in present else value
        for name, value in graph.values.items()
    }
    nodes: list[Node] = []

    def read(name: str, first: int, count: int) -> str:
        """Name ``count`` columns of a value from column ``first`` of the window on."""
        start = first - (graph.values[name].shape[1] - present[name])
        if (start, count) == (0, present[name]):
            return name
        part = f"{name}[{first}:{first + count}]"
        if part not in values:
            values[part] = replace(values[name], name=part, shape=(1, count, values[name].shape[2]))
            nodes.append(Node("crop1d", part, (name,), (part,), Crop1d(start, count)))
        return part

    for node in graph.nodes:
        inputs = list(node.inputs)
        attrs = node.attrs
        for index, name in enumerate(node.inputs):
            if name not in new:
                continue
            columns = graph.values[name].shape[1]
            if node.output not in new:
                inputs[index] = read(name, 0, columns)
            elif isinstance(attrs, Crop1d):
                first = attrs.start + graph.values[node.output].shape[1] - new[node.output]
                attrs = Crop1d(first - (columns - present[name]), new[node.output])
            else:
                reach, stride = _sliding(node)
                count = (new[node.output] - 1) * stride + reach
                inputs[index] = read(name, _first_read(graph, node, new, new), count)
        nodes.append(replace(node, inputs=tuple(inputs), attrs=attrs))
    return assemble(graph.inputs, graph.outputs, nodes, values.values())
