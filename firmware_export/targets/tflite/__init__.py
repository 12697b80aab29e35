"""``.tflite`` for LiteRT, tflite_runtime and TFLite Micro: the float file and the recipe's own.

Time lies along W: ``[1, T, C]`` is ``[1, 1, T, C]`` inside. The public input stays ``[1, T, C]``.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgehar.precision import Precision
from firmware_export.graph import Graph
from firmware_export.targets.target import Sources, no_emitter
from firmware_export.targets.tflite.emitters import EMITTERS
from firmware_export.targets.tflite.writer import Writer

__all__ = ["EMITTERS", "files", "write_tflite"]


def write_tflite(graph: Graph, metadata: Mapping[str, bytes]) -> bytes:
    """Return the file of a graph, float or integer.

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
    """Return ``model_f32.tflite`` and the recipe's own file."""
    graphs = {Precision.FLOAT32: sources.float_graph}
    own = sources.quantized_graph or sources.hybrid_graph
    if own is not None:
        graphs[sources.precision] = own
    return {p.model_file("tflite"): write_tflite(graph, sources.metadata) for p, graph in graphs.items()}
