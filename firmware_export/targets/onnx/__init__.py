"""``.onnx`` for ONNX Runtime: the exporter's float file as it is, and the int8 graph in QDQ form.

QDQ: every int8 tensor is followed by DequantizeLinear and every result by QuantizeLinear, with our scales, zero
points and integers; the runtime fuses them into integer kernels. Inputs and outputs of the graph are int8.
"""

from __future__ import annotations

from edgehar.precision import Precision
from firmware_export.graph import Graph
from firmware_export.targets.onnx.emitters import EMITTERS
from firmware_export.targets.onnx.writer import Writer
from firmware_export.targets.target import Sources, no_emitter

__all__ = ["EMITTERS", "files", "write_qdq"]


def write_qdq(graph: Graph) -> bytes:
    """Return the file of an int8 graph.

    Raises:
        UnsupportedOpError: an op has no form here; names op and node.
    """
    writer = Writer(graph)
    for node in graph.nodes:
        if node.op not in EMITTERS:
            raise no_emitter("onnx", node, EMITTERS)
        EMITTERS[node.op](writer, node)
    return writer.finish()


def files(sources: Sources) -> dict[str, bytes]:
    """Return ``model_f32.onnx`` and, under an int8 recipe, ``model_i8.onnx``.

    ONNX Runtime has no integer kernels for int16 activations; it would compute such a file in float32.
    """
    written = {} if sources.onnx is None else {"model_f32.onnx": sources.onnx}
    if sources.quantized_graph is not None and sources.precision is Precision.STATIC_WI8_AI8:
        written[sources.precision.model_file("onnx")] = write_qdq(sources.quantized_graph)
    return written
