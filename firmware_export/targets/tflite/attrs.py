"""A node's settings, checked, and the fused clamps in the schema's words."""

from __future__ import annotations

from typing import TypeVar

from ai_edge_litert import schema_py_generated as schema

from edgehar.errors import ExportError
from firmware_export.graph import Attrs, Node
from firmware_export.ops.op import FusedActivation

A = TypeVar("A", bound=Attrs)

ACTIVATIONS = {
    FusedActivation.NONE: schema.ActivationFunctionType.NONE,
    FusedActivation.RELU: schema.ActivationFunctionType.RELU,
    FusedActivation.RELU6: schema.ActivationFunctionType.RELU6,
}


def attrs_of(node: Node, kind: type[A]) -> A:
    """Return a node's settings as those of its op.

    Raises:
        ExportError: they are of another; a bug in a reader or pass.
    """
    if not isinstance(node.attrs, kind):
        raise ExportError(f"node {node.name!r} ({node.op}) has attributes {node.attrs}, expected {kind.__name__}")
    return node.attrs
