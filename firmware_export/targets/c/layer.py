"""What an emitter is given of a node, and what it returns: one C function with the constants it reads."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ExportError
from firmware_export.affine import fixed_points
from firmware_export.graph import Attrs, Graph, Node, Value

A = TypeVar("A", bound=Attrs)
INT32_MAX = 2**31 - 1
PLACE = re.compile(r"@(\w+)@")


@dataclass(frozen=True, eq=False)
class Layer:
    """A node of a quantized graph.

    Attributes:
        node: operation and settings.
        inputs, outputs: its values, constants with their numbers.
        prefix: of the C names that belong to it.
    """

    node: Node
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    prefix: str

    def attrs(self, kind: type[A]) -> A:
        """Return the settings.

        Raises:
            ExportError: they are of another op; a bug of whoever made the node.
        """
        if not isinstance(self.node.attrs, kind):
            raise ExportError(
                f"node {self.node.name!r} ({self.node.op}) has attributes {self.node.attrs}, expected {kind.__name__}"
            )
        return self.node.attrs

    def constant(self, index: int) -> NDArray[Any]:
        """Return the numbers of a constant operand.

        Raises:
            ExportError: it is computed while running.
        """
        data = self.inputs[index].data
        if data is None:
            raise ExportError(
                f"target 'c': operand {index} of node {self.node.name!r} ({self.node.op}) is computed while running, "
                "expected a constant"
            )
        return data


@dataclass(frozen=True)
class Scratch:
    """Memory that a layer needs only while it runs: ``count`` numbers, the function's parameter ``name``."""

    name: str
    count: int
    bits: int  # 8 or 16

    @property
    def size(self) -> int:
        """In bytes."""
        return self.count * self.bits // 8


@dataclass(frozen=True, eq=False)
class Kernel:
    """One C function.

    Attributes:
        body: statements that read ``reads`` and write ``y``.
        reads: parameter of each activation, in the node's order.
        constants: arrays by the end of their name; the body calls them ``{prefix}_{end}``.
        scratch: what it needs besides.
        headers: of ``runtime`` that it includes.
        functions: definitions that stand before it.
        condition: preprocessor's expression of the cores that it is for, another kernel being for the rest; empty: all.
    """

    body: str
    reads: tuple[str, ...] = ("x",)
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    scratch: Scratch | None = None
    headers: tuple[str, ...] = ()
    functions: str = ""
    condition: str = ""


def layers(graph: Graph) -> list[Layer]:
    """Return every node of a graph as its emitter sees it."""
    return [
        Layer(
            node,
            tuple(graph.values[name] for name in node.inputs),
            tuple(graph.values[name] for name in node.outputs),
            f"layer_{index}_{node.op}",
        )
        for index, node in enumerate(graph.nodes)
    ]


def code(template: str, **parts: object) -> str:
    """Return C text with ``@name@`` replaced by ``parts``.

    A part of several lines keeps the place's indentation; a line whose parts are all empty is left out.
    """
    texts = {name: str(part) for name, part in parts.items()}
    lines = textwrap.dedent(template).strip("\n").splitlines()
    filled = [(line, _filled(line, texts)) for line in lines]
    return "\n".join(text for line, text in filled if text or not line)


def _filled(line: str, texts: Mapping[str, str]) -> str:
    margin = line[: len(line) - len(line.lstrip())]
    filled = PLACE.sub(lambda place: texts.get(place[1], place[0]).replace("\n", f"\n{margin}"), line)
    return "\n".join(part.rstrip() for part in filled.splitlines())


def rescaling(real: NDArray[np.float64] | float) -> dict[str, NDArray[Any]]:
    """Return the constants ``multiplier`` (int32) and ``shift`` (int8) of real factors."""
    multiplier, shift = fixed_points(real)
    return {"multiplier": multiplier.astype(np.int32), "shift": shift.astype(np.int8)}


def folded_bias(layer: Layer, bias: NDArray[Any], weight: NDArray[Any], zero_point: int) -> NDArray[np.int32]:
    """Return ``bias - zero_point * sum(weight)`` of each row, so that a kernel sums plain products ``q * w``.

    Args:
        layer: named where something is wrong.
        bias: ``[C]`` int32.
        weight: ``[C, products]`` int8.
        zero_point: of the input.

    Raises:
        ExportError: a sum could leave int32, whatever the order of its terms.
    """
    wide = weight.astype(np.int64)
    folded = bias.astype(np.int64) - zero_point * wide.sum(axis=1)
    largest = int((np.abs(folded) + 128 * np.abs(wide).sum(axis=1)).max())
    if largest > INT32_MAX:
        raise ExportError(
            f"target 'c': sums of node {layer.node.name!r} ({layer.node.op}) reach {largest}, expected at most "
            f"{INT32_MAX} (int32); its bias or its number of products is too large"
        )
    sums: NDArray[np.int32] = folded.astype(np.int32)
    return sums


def of_shape(values: Sequence[Value]) -> str:
    """Return shapes without the batch, for comments."""
    return " and ".join("[" + ", ".join(map(str, value.shape[1:])) + "]" for value in values)
