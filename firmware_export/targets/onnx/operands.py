"""A node's settings and constants, checked."""

from __future__ import annotations

from typing import Any, TypeVar

from numpy.typing import NDArray

from edgehar.errors import ExportError
from firmware_export.graph import Attrs, Node
from firmware_export.targets.onnx.writer import Writer

A = TypeVar("A", bound=Attrs)


def attrs_of(node: Node, kind: type[A]) -> A:
    """Return a node's settings as those of its op.

    Raises:
        ExportError: they are of another; a bug in a reader or pass.
    """
    if not isinstance(node.attrs, kind):
        raise ExportError(f"node {node.name!r} ({node.op}) has attributes {node.attrs}, expected {kind.__name__}")
    return node.attrs


def data_of(writer: Writer, name: str) -> NDArray[Any]:
    """Return the numbers of a constant.

    Raises:
        ExportError: it is none.
    """
    data = writer.graph.values[name].data
    if data is None:
        raise ExportError(f"value {name!r} is computed while running, expected a constant")
    return data
