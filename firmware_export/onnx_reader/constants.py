"""Work out what depends on constants alone: the exporter leaves the re-ordering of large weights in the graph."""

from __future__ import annotations

import onnx_ir as ir

from edgehar.errors import ExportError
from firmware_export.onnx_reader.reading import constant_of


def fold_constants(graph: ir.Graph) -> None:
    """Give every value that depends on constants alone its numbers; its node then has nothing left to do.

    Raises:
        ExportError: ONNX's own evaluator cannot run such a node.
    """
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 (half a second, and few files need it)

    for node in graph:
        given = [value for value in node.inputs if value is not None]
        if node.op_type == "Constant" or not given or any(constant_of(value) is None for value in given):
            continue
        feeds = {value.name: constant_of(value) for value in given}
        try:
            results = ReferenceEvaluator(ir.serde.serialize_node(node)).run(None, feeds)
        except Exception as error:  # it raises whatever numpy does
            raise ExportError(
                f"ONNX operator {node.op_type} (node {node.name!r}) has constant inputs only and cannot be worked out "
                f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); export with constant folding"
            ) from None
        for value, result in zip(node.outputs, results, strict=True):
            value.const_value = ir.tensor(result, name=value.name)


def is_folded(node: ir.Node) -> bool:
    """Return whether all that a node computes is constant."""
    return all(constant_of(value) is not None for value in node.outputs)
