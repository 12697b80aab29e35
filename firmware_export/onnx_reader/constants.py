"""Work out what depends on constants alone: the exporter leaves the re-ordering of large weights in the graph."""

from __future__ import annotations

import onnx_ir as ir

from edgehar.errors import ExportError
from firmware_export.onnx_reader.reading import attribute, constant_of, name_of
from firmware_export.onnx_reader.stored import Stored, dequantized

MOVES = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")  # the numbers stay what they are


def fold_constants(graph: ir.Graph) -> dict[str, Stored]:
    """Give every value that depends on constants alone its numbers; its node then has nothing left to do.

    Returns:
        by name, of which constants the file keeps integers.

    Raises:
        ExportError: ONNX's own evaluator cannot run such a node.
    """
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 (half a second, and few files need it)

    stored: dict[str, Stored] = {}
    for node in graph:
        given = [value for value in node.inputs if value is not None]
        if node.op_type == "Constant" or not given or any(constant_of(value) is None for value in given):
            continue
        try:
            if node.op_type == "DequantizeLinear":
                _dequantize(node, stored)
                continue
            feeds = {value.name: constant_of(value) for value in given}
            results = ReferenceEvaluator(ir.serde.serialize_node(node)).run(None, feeds)
        except Exception as error:  # it raises whatever numpy does
            raise ExportError(
                f"ONNX operator {node.op_type} (node {node.name!r}) has constant inputs only and cannot be worked out "
                f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); export with constant folding"
            ) from None
        for value, result in zip(node.outputs, results, strict=True):
            value.const_value = ir.tensor(result, name=value.name)
        if node.op_type in MOVES and name_of(given[0]) in stored:
            stored[name_of(node.outputs[0])] = stored[name_of(given[0])]
    return stored


def _dequantize(node: ir.Node, stored: dict[str, Stored]) -> None:
    """In float64, in which the integers can be found again."""
    integers, scale, zero = (None if value is None else constant_of(value) for value in (*node.inputs, None, None)[:3])
    if integers is None or scale is None:
        raise ValueError("integers or scale are missing")
    (output,) = node.outputs
    real, stored[name_of(output)] = dequantized(integers, scale, zero, int(attribute(node, "axis", 1)))
    output.const_value = ir.tensor(real, name=output.name)


def is_folded(node: ir.Node) -> bool:
    """Return whether all that a node computes is constant."""
    return all(constant_of(value) is not None for value in node.outputs)
