"""int8 activations, but int16 where they cost the logits most: which layers, and the graph with both.

A number is kept in int16 only if the layer that makes it and all that read it compute in int16. So a layer is raised
together with its readers, pools and reshapes in between included. Between int8 and int16 stands a ``requantize``
(QUANTIZE in TFLite), which LiteRT's reference kernels and TFLite Micro compute alike.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from firmware_export.graph import Graph, Node, Value, assemble
from firmware_export.ops import is_stateful, op_of
from firmware_export.ops.op import OutputScale
from firmware_export.ops.requantize import Requantize
from firmware_export.quantize import int8_activation, int8_constants, int8_tables, quantize
from firmware_export.reference import Windows, per_input, run
from firmware_export.sensitivity import INPUT, layer_sensitivity, to_formats, to_reals
from firmware_export.wide import int16_activation, int16_constants
from firmware_export.wide_kernels import KERNELS

# LiteRT has no int16 LSTM, and its int16 softmax is a step off TFLite Micro's: they stay int8, so that bits agree.
NOT_RAISED = ("lstm", "softmax")
MARGIN_DB = 3.0  # twice the noise that int16 wherever possible leaves, unless a recipe says how many dB
LEAST_GAIN_DB = 0.1  # a layer that brings less is taken back
WINDOWS = 256  # of the calibration windows, to choose on
RECURRENT_WINDOWS = 64


@dataclass(frozen=True)
class Raised:
    """One step of the choice.

    Attributes:
        layer: whose noise it removes, or ``input``'s name.
        nodes: outputs of the nodes that compute in int16 for it and did not before.
        logits_db: SQNR of the logits after it.
    """

    layer: str
    nodes: tuple[str, ...]
    logits_db: float


@dataclass(frozen=True)
class Choice:
    """Which layers were raised, and what for.

    Attributes:
        target_db: SQNR of the logits that was to be reached.
        int8_db: of int8 throughout.
        highest_db: with everything raised that can be.
        logits_db: of the choice.
        steps: in the order of the choice.
        layers: how many nodes the network has.
    """

    target_db: float
    int8_db: float
    highest_db: float
    logits_db: float
    steps: tuple[Raised, ...]
    layers: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


def mixed_graph(graph: Graph, raised: Collection[str]) -> tuple[Graph, Graph]:
    """Return the float graph with its borders, and the integers of it.

    Args:
        graph: float, calibrated, through ``RANGE_PASSES``.
        raised: outputs of the nodes that compute in int16.

    Raises:
        UnsupportedOpError: an op has no form in the type that is asked of it.
        ExportError: an activation was not calibrated.
    """
    graph, wide = _with_borders(graph, set(raised))
    values = {
        value.name: (int16_activation if _maker(graph, value) in wide else int8_activation)(graph, value)
        for value in graph.activations
    }
    narrow_nodes = [node for node in graph.nodes if node.output not in wide]
    values.update((value.name, value) for value in int8_tables(graph, narrow_nodes))
    nodes = []
    for node in graph.nodes:
        if node.output in wide:
            made = int16_constants(graph, node, values[node.inputs[0]].quantization)
            inputs = tuple(made[i].name if i in made else name for i, name in enumerate(node.inputs))
            constants = list(made.values())
        else:
            inputs, constants = int8_constants(graph, node, values)
        values.update((value.name, value) for value in constants)
        nodes.append(replace(node, inputs=inputs))
    return graph, assemble(graph.inputs, graph.outputs, nodes, values.values())


def _maker(graph: Graph, value: Value) -> str:
    producer = graph.producer(value.name)
    return value.name if producer is None else producer.output


def _with_borders(graph: Graph, raised: set[str]) -> tuple[Graph, set[str]]:
    """Return the graph with a ``requantize`` at each border, and what is int16 in it: node outputs and inputs."""
    wide = raised | {name for name in graph.inputs if any(node.output in raised for node in graph.consumers(name))}
    nodes: list[Node] = []
    borders: dict[str, Value] = {}
    for node in graph.nodes:
        inputs = list(node.inputs)
        for index, name in enumerate(node.inputs):
            value = graph.values[name]
            if value.data is not None or (name in wide) == (node.output in wide):
                continue
            inputs[index] = f"{name}/{'int16' if node.output in wide else 'int8'}"
            if inputs[index] not in borders:
                borders[inputs[index]] = replace(value, name=inputs[index])
                nodes.append(Node("requantize", inputs[index], (name,), (inputs[index],), Requantize()))
        nodes.append(replace(node, inputs=tuple(inputs)))
    wide |= {name for name in borders if name.endswith("/int16")}
    return assemble(graph.inputs, graph.outputs, nodes, [*graph.values.values(), *borders.values()]), wide


def with_readers(graph: Graph, name: str) -> frozenset[str] | None:
    """Return the outputs of all nodes that must compute in int16 for a value to stay in it; None where one cannot."""
    same, open_ends = {name}, [name]
    while open_ends:
        at = open_ends.pop()
        for node in graph.nodes:
            ends = {*node.inputs, node.output}
            if at in ends and op_of(node).output_scale is OutputScale.SAME_AS_INPUT:
                new = {end for end in ends if graph.values[end].data is None} - same
                same |= new
                open_ends += new
    needed = {node for node in graph.nodes if node.output in same or same.intersection(node.inputs)}
    if any(node.op not in KERNELS or node.op in NOT_RAISED for node in needed):
        return None
    return frozenset(node.output for node in needed)


def choose(graph: Graph, windows: Windows, least_db: float | None = None) -> tuple[Choice, Graph, Graph]:
    """Raise the layers that cost the logits most, worst first, until a target is reached.

    Args:
        graph: float, calibrated, through ``RANGE_PASSES``.
        windows: ``[N, T, C]`` float32 of each input, training windows; an even share of them is looked at.
        least_db: the target; None for ``MARGIN_DB`` below what int16 wherever possible reaches.

    Returns:
        The choice, the float graph with borders, and its integers. Where the target is out of reach the choice is the
        best that was found.
    """
    given = _some(windows, RECURRENT_WINDOWS if is_stateful(graph) else WINDOWS)
    expected = run(graph, given)
    rows = layer_sensitivity(graph, quantize(graph), given).layers
    outputs = {node.name: node.output for node in graph.nodes} | {name: name for name in graph.inputs}
    costs = [(row.name, with_readers(graph, row.name if row.op == INPUT else outputs[row.name])) for row in rows]
    raised: frozenset[str] = frozenset()
    paired, integers = mixed_graph(graph, raised)
    now = int8_db = _db(integers, given, expected)
    highest = _db(mixed_graph(graph, frozenset().union(*(c for _, c in costs if c)))[1], given, expected)
    target = highest - MARGIN_DB if least_db is None else least_db
    steps: list[Raised] = []
    for layer, cost in costs:
        if now >= target:
            break
        if cost is None or cost <= raised:
            continue
        tried = mixed_graph(graph, raised | cost)
        found = _db(tried[1], given, expected)
        if found < now + LEAST_GAIN_DB:
            continue
        steps.append(Raised(layer, tuple(sorted(cost - raised)), found))
        raised, now, (paired, integers) = raised | cost, found, tried
    return Choice(target, int8_db, highest, now, tuple(steps), len(graph.nodes)), paired, integers


def _some(windows: Windows, count: int) -> tuple[np.ndarray[Any, Any], ...]:
    arrays = per_input(windows)
    chosen = np.linspace(0, len(arrays[0]) - 1, min(count, len(arrays[0]))).round().astype(int)
    return tuple(array[chosen] for array in arrays)


def _db(integers: Graph, windows: Sequence[Any], expected: Sequence[Any]) -> float:
    """Return the SQNR of all logits together."""
    found = to_reals(integers, run(integers, to_formats(integers, windows)))
    signal = sum(float(np.square(a, dtype=np.float64).sum()) for a in expected)
    noise = sum(float(np.square(b - a, dtype=np.float64).sum()) for a, b in zip(expected, found, strict=True))
    return 10 * math.log10(max(signal, 5e-324) / max(noise, 5e-324))
