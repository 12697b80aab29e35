"""``.tflite`` for LiteRT, tflite_runtime and TFLite Micro: the float file and the int8 file.

Time lies along W: ``[1, T, C]`` is ``[1, 1, T, C]`` inside. The public input stays ``[1, T, C]``.
"""

from __future__ import annotations

from collections.abc import Mapping

from firmware_export.graph import Graph
from firmware_export.targets.target import Sources, no_emitter
from firmware_export.targets.tflite.emitters import EMITTERS
from firmware_export.targets.tflite.writer import Writer

__all__ = ["EMITTERS", "files", "write_tflite"]


def write_tflite(graph: Graph, metadata: Mapping[str, bytes]) -> bytes:
    """Return the file of a float or int8 graph.

    Args:
        graph: after the passes.
        metadata: entries of the file's ``metadata`` table.

    Raises:
        UnsupportedOpError: an op, or a setting of one, has no form in TFLite; names op and node.
    """
    writer = Writer(graph)
    for node in graph.nodes:
        if node.op not in EMITTERS:
            raise no_emitter("tflite", node, EMITTERS)
        EMITTERS[node.op](writer, node)
    return writer.finish(metadata)


def files(sources: Sources) -> dict[str, bytes]:
    """Return ``model_f32.tflite`` and the recipe's file.

    That is ``model_i8.tflite``, ``model_i16.tflite`` (int16 activations) or ``model_w8.tflite`` (int8 weights only).
    """
    written = {"model_f32.tflite": write_tflite(sources.float_graph, sources.metadata)}
    if sources.quantized_graph is not None:
        bits = sources.quantized_graph.input_dtype.removeprefix("int")
        written[f"model_i{bits}.tflite"] = write_tflite(sources.quantized_graph, sources.metadata)
    if sources.hybrid_graph is not None:
        written["model_w8.tflite"] = write_tflite(sources.hybrid_graph, sources.metadata)
    return written
