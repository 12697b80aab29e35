"""What a target gets and what it declares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from edgehar.errors import UnsupportedOpError
from edgehar.precision import Precision
from firmware_export.graph import Graph, Node


@dataclass(frozen=True, eq=False)
class Sources:
    """Everything a target may write from.

    Attributes:
        onnx: the float interchange file; None where it was a ``.tflite``.
        precision: of the recipe.
        float_graph: after the passes.
        quantized_graph: the integers, None under a float recipe.
        hybrid_graph: float with int8 weights, None under other recipes than dynamic ones.
        metadata: named bytes that go inside files with room for them.
    """

    onnx: bytes | None
    precision: Precision
    float_graph: Graph
    quantized_graph: Graph | None
    hybrid_graph: Graph | None
    metadata: Mapping[str, bytes]


@dataclass(frozen=True)
class Target:
    """One kind of device file.

    Attributes:
        emits: ops it can write.
        files: from the sources to file contents by name.
    """

    emits: Collection[str]
    files: Callable[[Sources], dict[str, bytes]]


def no_emitter(target: str, node: Node, emits: Collection[str]) -> UnsupportedOpError:
    """Return the error for an op that a target cannot write."""
    return UnsupportedOpError(
        f"target {target!r} cannot write op {node.op!r} (node {node.name!r}); it writes {', '.join(sorted(emits))}"
    )
