"""The typed, channels-last graph that every reader fills and every target writes.

A graph is data: passes take one and return another. Activations are ``[N, T, C]``, ``[N, K]`` or, of images,
``[N, H, W, C]``, with the batch N written as 1. Constants carry their numbers; node settings are one frozen dataclass
an op (``firmware_export.ops``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ExportError

Shape = tuple[int, ...]
DType = Literal["float32", "int8", "int16", "int32", "int64"]


@dataclass(frozen=True)
class Quantization:
    """``real = scales[c] * (q - zero_point)``.

    Attributes:
        scales: one for the whole tensor, or one an entry of ``axis``; each is exactly a float32.
        zero_point: of every channel; 0 for weights and biases (symmetric).
        axis: dimension that ``scales`` runs along, None when there is one scale.
    """

    scales: tuple[float, ...]
    zero_point: int = 0
    axis: int | None = None

    def __post_init__(self) -> None:
        if not all(np.isfinite(s) and s > 0 and float(np.float32(s)) == s for s in self.scales):
            raise ValueError(f"scales {self.scales[:4]}: expected positive numbers that float32 holds exactly")
        if self.axis is None and len(self.scales) != 1:
            raise ValueError(f"{len(self.scales)} scales without an axis, expected 1")

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantization.

        Raises:
            ValueError: there is one scale a channel.
        """
        if self.axis is not None:
            raise ValueError(f"there are {len(self.scales)} scales along axis {self.axis}, not one")
        return self.scales[0]


@dataclass(frozen=True)
class Range:
    """Smallest and largest real value that a tensor takes; always contains 0."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low <= 0 <= self.high):
            raise ValueError(f"range {self.low}..{self.high}: expected finite numbers around 0")


@dataclass(frozen=True, eq=False)
class Fixed:
    """Integers that the file gave a float value (QDQ, quantization-aware training); quantizing keeps them.

    Attributes:
        quant: of the integers; of a constant one scale, or one an entry of an axis.
        integers: of a constant; None for an activation.
    """

    quant: Quantization
    integers: NDArray[Any] | None = None


def range_of_table(data: NDArray[Any]) -> Range:
    """Return the range of a constant's numbers."""
    return Range(min(float(data.min()), 0.0), max(float(data.max()), 0.0))


@dataclass(frozen=True, eq=False)
class Value:
    """One tensor.

    Attributes:
        name: unique in its graph.
        shape: channels-last; N of an activation is 1.
        dtype: of the stored numbers.
        quant: what the integers mean; None for float.
        data: the numbers of a constant, None for an activation.
        range: what calibration saw of an activation; None before.
        fixed: of a float value the integers that the file asks for; None where we choose.
    """

    name: str
    shape: Shape
    dtype: DType = "float32"
    quant: Quantization | None = None
    data: NDArray[Any] | None = None
    range: Range | None = None
    fixed: Fixed | None = None

    @property
    def quantization(self) -> Quantization:
        """``quant`` of a value that must have one.

        Raises:
            ExportError: the value is float.
        """
        if self.quant is None:
            raise ExportError(f"value {self.name!r} is {self.dtype} without scale; quantize the graph first")
        return self.quant


def inherit(value: Value, other: Value) -> Value:
    """Return ``value`` with the fixed integers of ``other``, which holds the same numbers, unless it has its own."""
    return value if value.fixed is not None or other.fixed is None else replace(value, fixed=other.fixed)


@dataclass(frozen=True)
class Attrs:
    """Base of the settings of one op; each op file has its own."""


@dataclass(frozen=True)
class Node:
    """One operation: ``op`` is a key of ``OPS``, inputs and outputs name values.

    Outputs after the first are states that an op keeps inside (an ``lstm``'s cells): ranges and scales are theirs,
    no other node reads them.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Attrs

    @property
    def output(self) -> str:
        """The output that other nodes read."""
        return self.outputs[0]


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which they can run, and every value they name."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]

    @property
    def input_dtype(self) -> DType:
        """Type of the graph's inputs, and so of its activations."""
        return self.values[self.inputs[0]].dtype

    def producer(self, name: str) -> Node | None:
        """Return the node that computes a value, None for graph inputs and constants."""
        return next((node for node in self.nodes if name in node.outputs), None)

    def consumers(self, name: str) -> list[Node]:
        """Return the nodes that read a value."""
        return [node for node in self.nodes if name in node.inputs]

    def only_reader(self, name: str) -> Node | None:
        """Return the one node that reads a value, None when there are several or the caller of the graph does."""
        readers = self.consumers(name)
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    @property
    def activations(self) -> list[Value]:
        """Graph inputs, then node outputs in running order."""
        names = [*self.inputs, *(name for node in self.nodes for name in node.outputs)]
        return [self.values[name] for name in names]

    @property
    def parameters(self) -> int:
        """How many numbers the constants hold."""
        return sum(v.data.size for v in self.values.values() if v.data is not None)

    def validate(self) -> None:
        """Check that names are unique and defined before use, shapes fit the data, and nothing is left over.

        Raises:
            ExportError: names the node or value that is wrong; a bug in a reader or pass, not in the user's model.
        """
        defined = {*self.inputs, *(name for name, value in self.values.items() if value.data is not None)}
        for node in self.nodes:
            for name in node.inputs:
                if name not in defined:
                    raise ExportError(
                        f"graph: node {node.name!r} ({node.op}) reads {name!r}, which nothing has computed"
                    )
            for name in node.outputs:
                if name in defined:
                    raise ExportError(f"graph: node {node.name!r} ({node.op}) computes {name!r} a second time")
                defined.add(name)
        if missing := set(self.outputs) - defined:
            raise ExportError(f"graph: outputs {sorted(missing)} are computed by no node")
        if defined != set(self.values):
            raise ExportError(f"graph: values {sorted(defined ^ set(self.values))} are undefined or unused")
        for key, value in self.values.items():
            if key != value.name or (value.data is not None and value.data.shape != value.shape):
                raise ExportError(f"graph: value {key!r} calls itself {value.name!r} or has data of another shape")
            if value.data is not None and value.data.dtype != np.dtype(value.dtype):
                raise ExportError(f"graph: value {key!r} says {value.dtype}, its data are {value.data.dtype}")

    def dump(self) -> str:
        """Return the graph as text, one line a node."""
        lines = [f"input  {_describe(self.values[name])}" for name in self.inputs]
        for node in self.nodes:
            lines.append(f"{node.op:18}{node.name}  {node.attrs}")
            lines += [f"    <- {_describe(self.values[name])}" for name in node.inputs]
            lines += [f"    -> {_describe(self.values[name])}" for name in node.outputs]
        return "\n".join([*lines, f"output {', '.join(self.outputs)}"]) + "\n"


def _describe(value: Value) -> str:
    text = f"{value.name} {value.dtype}{list(value.shape)}"
    if value.data is not None:
        text += " const"
    if value.quant is not None and value.quant.axis is None:
        text += f" scale={value.quant.scale:.6g} zero_point={value.quant.zero_point}"
    elif value.quant is not None:
        text += f" scales along axis {value.quant.axis}: {min(value.quant.scales):.4g}..{max(value.quant.scales):.4g}"
    if value.range is not None:
        text += f" range={value.range.low:.4g}..{value.range.high:.4g}"
    if value.fixed is not None:
        text += f" fixed to {min(value.fixed.quant.scales):.4g}..{max(value.fixed.quant.scales):.4g}"
    return text


def assemble(inputs: Iterable[str], outputs: Iterable[str], nodes: Iterable[Node], values: Iterable[Value]) -> Graph:
    """Return the validated graph of these parts, keeping only the values that a node or the caller names.

    Where two values have one name, the later one counts: a pass appends what it changed.
    """
    inputs, outputs, nodes = tuple(inputs), tuple(outputs), tuple(nodes)
    used = {*inputs, *outputs, *(name for node in nodes for name in (*node.inputs, *node.outputs))}
    graph = Graph(inputs, outputs, nodes, {value.name: value for value in values if value.name in used})
    graph.validate()
    return graph


def renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    """Return the graph with other names of values, inputs apart: a file's own for what a reader called otherwise."""
    new = {name: name for name in graph.values} | {old: new for old, new in names.items() if old not in graph.inputs}
    nodes = [
        replace(node, inputs=tuple(new[i] for i in node.inputs), outputs=tuple(new[o] for o in node.outputs))
        for node in graph.nodes
    ]
    values = [replace(value, name=new[value.name]) for value in graph.values.values()]
    return assemble(graph.inputs, [new[name] for name in graph.outputs], nodes, values)
