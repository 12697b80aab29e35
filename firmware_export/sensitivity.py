"""What each layer costs: its quantization noise against the float network, accumulated and alone.

A layer *alone* is the float network with one addition: the error that this layer's integer kernel, with its integer
weights and its output's step, makes on inputs that the kernel can represent. The rounding of those inputs belongs to
the layers that make them, so a layer that only moves integers costs nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ExportError
from edgehar.heads import decide
from firmware_export.affine import to_integers, to_real
from firmware_export.graph import Attrs, Graph, Node
from firmware_export.reference import Windows, activations, per_input, run_node

F32 = NDArray[np.float32]
INPUT = "input"  # op of the rows that stand for the graph's inputs


@dataclass(frozen=True)
class LayerCost:
    """One layer, or a graph input. SQNRs are in dB, larger is better, None where there is no error at all.

    Attributes:
        name: of the node.
        op: key of ``OPS``, or ``input``.
        accumulated_db: SQNR of its output in the integer network.
        alone_db: SQNR of its output when only this layer is quantized.
        logits_db: SQNR of the network's outputs when only this layer is quantized: what the layer costs.
        changed_labels: share of windows whose label changes when only this layer is quantized, 0..1.
        weight_db: SQNR of its weights; None without weights too.
        scale: of its output.
        zero_point: of its output.
    """

    name: str
    op: str
    accumulated_db: float | None
    alone_db: float | None
    logits_db: float | None
    changed_labels: float
    weight_db: float | None
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Sensitivity:
    """All layers, worst first: lowest ``logits_db``.

    Attributes:
        windows: how many were run.
        layers: see :class:`LayerCost`.
        logits_db: SQNR of the outputs of the whole integer network.
        changed_labels: share of windows whose label changes in the whole integer network, 0..1.
    """

    windows: int
    layers: tuple[LayerCost, ...]
    logits_db: float | None
    changed_labels: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


@dataclass
class _Power:
    """Sums of squares of a signal and of its error."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, expected: NDArray[Any], found: NDArray[Any]) -> None:
        self.signal += float(np.square(expected, dtype=np.float64).sum())
        self.noise += float(np.square(found - expected, dtype=np.float64).sum())

    @property
    def db(self) -> float | None:
        if self.noise == 0:
            return None
        # the smallest float64 stands for a signal that is 0 everywhere
        return 10 * math.log10(max(self.signal, 5e-324) / self.noise)


def layer_sensitivity(
    float_graph: Graph, quantized_graph: Graph, windows: Windows, kinds: Sequence[str] = ()
) -> Sensitivity:
    """Return what quantizing each layer costs.

    Args:
        float_graph: through the same passes as ``quantized_graph``.
        quantized_graph: the integers.
        windows: ``[N, T, C]`` float32 of each input as the network sees them; held-out ones tell what users will see.
        kinds: of each output's head, as in ``edgehar.heads.KINDS``; empty where all are multiclass.

    Raises:
        ExportError: the graphs are not two forms of one network.
        UsageError: the windows do not fit the graph's inputs.
    """
    _check_pair(float_graph, quantized_graph)
    kinds = tuple(kinds) or ("multiclass",) * len(float_graph.outputs)
    steps = [*map(_input_node, float_graph.inputs), *float_graph.nodes]
    accumulated, alone, logits = (defaultdict[str, _Power](_Power) for _ in range(3))
    changed: dict[str, int] = defaultdict(int)
    total, total_changed = _Power(), 0
    given = dict(zip(float_graph.inputs, per_input(windows), strict=False))  # their number is checked as they run
    count = len(per_input(windows)[0])
    integers = to_formats(quantized_graph, list(given.values()))
    pairs = zip(activations(float_graph, windows), activations(quantized_graph, integers), strict=True)
    for real, integer in pairs:
        expected = [real[name] for name in float_graph.outputs]
        for step in steps:
            value = step.output
            accumulated[value].add(real[value], _real(quantized_graph, value, integer[value]))
            noisy = real[value] + _own_error(float_graph, quantized_graph, step, real)
            alone[value].add(real[value], noisy)
            found = _outputs_with(float_graph, step, real, noisy)
            changed[value] += _changed(kinds, expected, found)
            for a, b in zip(expected, found, strict=True):
                logits[value].add(a, b)
        found = [_real(quantized_graph, name, integer[name]) for name in quantized_graph.outputs]
        total_changed += _changed(kinds, expected, found)
        for a, b in zip(expected, found, strict=True):
            total.add(a, b)
    layers = [
        LayerCost(
            name=step.name,
            op=step.op,
            accumulated_db=accumulated[step.output].db,
            alone_db=alone[step.output].db,
            logits_db=logits[step.output].db,
            changed_labels=changed[step.output] / count,
            weight_db=_weight_db(float_graph, quantized_graph, step),
            scale=quantized_graph.values[step.output].quantization.scale,
            zero_point=quantized_graph.values[step.output].quantization.zero_point,
        )
        for step in steps
    ]
    layers.sort(key=lambda layer: math.inf if layer.logits_db is None else layer.logits_db)
    return Sensitivity(count, tuple(layers), total.db, total_changed / count)


def _check_pair(float_graph: Graph, quantized_graph: Graph) -> None:
    ours = [(node.op, node.outputs) for node in float_graph.nodes]
    theirs = [(node.op, node.outputs) for node in quantized_graph.nodes]
    if ours != theirs or float_graph.inputs != quantized_graph.inputs:
        different = next((a for a, b in zip(ours, theirs, strict=False) if a != b), "their number")
        raise ExportError(
            f"sensitivity: the float and the integer graph are not one network (they differ at {different}); "
            "pass both graphs of one conversion"
        )


def _input_node(name: str) -> Node:
    return Node(INPUT, name, (), (name,), Attrs())


def to_formats(quantized: Graph, windows: Sequence[F32]) -> list[NDArray[Any]]:
    """Return each input's windows as its integers."""
    return [_integers(quantized, name, x) for name, x in zip(quantized.inputs, windows, strict=False)]


def to_reals(quantized: Graph, outputs: Sequence[NDArray[Any]]) -> list[F32]:
    """Return what each output's integers stand for."""
    return [_real(quantized, name, integers) for name, integers in zip(quantized.outputs, outputs, strict=True)]


def _real(quantized: Graph, name: str, integers: NDArray[Any]) -> F32:
    return to_real(integers, quantized.values[name].quantization)


def _integers(quantized: Graph, name: str, x: F32) -> NDArray[Any]:
    value = quantized.values[name]
    return to_integers(x, value.quantization, value.dtype)


def _own_error(float_graph: Graph, quantized: Graph, step: Node, real: dict[str, F32]) -> F32:
    """Return what the layer's integers add to its output, ``[N, ...]``."""
    if step.op == INPUT:
        x = real[step.output]
        return _real(quantized, step.output, _integers(quantized, step.output, x)) - x
    node = _integer_form(quantized, step)
    integers = {name: _integers(quantized, name, real[name]) for name in step.inputs if name in real}
    represented = {name: _real(quantized, name, q) for name, q in integers.items()}
    found = _real(quantized, step.output, run_node(quantized, node, integers))
    error: F32 = found - run_node(float_graph, step, represented)
    return error


def _integer_form(quantized: Graph, step: Node) -> Node:
    return next(node for node in quantized.nodes if node.outputs == step.outputs)


def _outputs_with(graph: Graph, step: Node, real: dict[str, F32], noisy: F32) -> list[F32]:
    """Return the float network's outputs when ``step`` gives ``noisy``; only what depends on it is run again."""
    values = {**real, step.output: noisy}
    stale = {step.output}
    for node in graph.nodes:
        if stale.intersection(node.inputs):
            values[node.output] = run_node(graph, node, values)
            stale.add(node.output)
    return [values[name] for name in graph.outputs]


def _changed(kinds: Sequence[str], expected: Sequence[F32], found: Sequence[F32]) -> int:
    """Return how many windows any head decides otherwise."""
    different = [
        (decide(kind, a) != decide(kind, b)).any(axis=1) for kind, a, b in zip(kinds, expected, found, strict=True)
    ]
    return int(np.logical_or.reduce(different).sum())


def _weight_db(float_graph: Graph, quantized: Graph, step: Node) -> float | None:
    power = _Power()
    if step.op == INPUT:
        return None
    node = _integer_form(quantized, step)
    for ours, theirs in zip(step.inputs, node.inputs, strict=True):
        weight, integers = float_graph.values[ours].data, quantized.values[theirs]
        if weight is not None and integers.data is not None and integers.dtype == "int8":
            power.add(weight, to_real(integers.data, integers.quantization))
    return power.db
