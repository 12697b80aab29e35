"""How ``forest`` is written in ONNX: one TreeEnsembleRegressor, every tree with targets of its own."""

from __future__ import annotations

import numpy as np

from firmware_export.graph import Node
from firmware_export.ops.forest import Forest, trees
from firmware_export.targets.onnx.operands import attrs_of, data_of
from firmware_export.targets.onnx.writer import ML_DOMAIN, Writer


def emit_forest(writer: Writer, node: Node) -> None:
    """A threshold becomes the real number half a step above it, which no dequantized input is equal to."""
    attrs = attrs_of(node, Forest)
    columns, limits, leaves = (data_of(writer, name) for name in node.inputs[1:])
    of, table = (writer.graph.values[node.inputs[i]].quantization for i in (0, 3))
    count, (size, classes) = trees(attrs, leaves.shape), leaves.shape
    real_limits = ((limits.astype(np.float64) + 0.5 - of.zero_point) * of.scale).astype(np.float32)
    real_leaves = ((leaves.astype(np.float64) - table.zero_point) * table.scale).astype(np.float32)

    heap = np.arange(1, 2 << attrs.depth)  # of one tree: its root is 1, its leaves come last
    level = np.log2(heap).astype(int)
    owner, local = np.repeat(np.arange(count), len(heap)), np.tile(heap, count)
    place = local + (count - 1 + owner) * np.tile(1 << level, count)  # in the graph's tables, leaves from ``size`` on
    inner = place < size
    at = np.where(inner, place, 0)
    real = writer.node(
        "TreeEnsembleRegressor",
        [writer.real(node.inputs[0])],
        f"{node.output}/trees",
        domain=ML_DOMAIN,
        n_targets=count * classes,
        nodes_treeids=owner.tolist(),
        nodes_nodeids=(local - 1).tolist(),
        nodes_featureids=np.where(inner, columns[at], 0).tolist(),
        nodes_values=np.where(inner, real_limits[at], 0).tolist(),
        nodes_modes=["BRANCH_LEQ" if goes_on else "LEAF" for goes_on in inner],
        nodes_truenodeids=np.where(inner, 2 * local - 1, 0).tolist(),
        nodes_falsenodeids=np.where(inner, 2 * local, 0).tolist(),
        target_treeids=np.repeat(owner[~inner], classes).tolist(),
        target_nodeids=np.repeat(local[~inner] - 1, classes).tolist(),
        target_ids=(owner[~inner, None] * classes + np.arange(classes)).ravel().tolist(),
        target_weights=real_leaves[place[~inner] - size].ravel().tolist(),
    )
    shape = writer.initializer(f"{node.output}/shape", np.asarray([1, count, classes], np.int64))
    series = writer.node("Reshape", [real, shape], f"{node.output}/series")
    writer.result(node.output, writer.channels_first(series, f"{node.output}/first", 3))
