"""Rewrites of the graph, one a file: ``(Graph) -> Graph``, the same function of the input before and after.

``PASSES`` run in this order on the float graph as read; ``RANGE_PASSES`` on the calibrated one; ``LAYOUT_PASSES`` on
the graph of an int8 file, whose integers they leave as they are. A pass that merges
two nodes keeps the output name of the later one, so graph outputs keep their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from firmware_export.graph import Graph
from firmware_export.passes.crop_padding import crop_padding
from firmware_export.passes.fold_batch_norm import fold_batch_norm
from firmware_export.passes.fuse_relu import fuse_relu
from firmware_export.passes.mean_of_own_scale import mean_of_own_scale
from firmware_export.passes.relu_before_max_pool import relu_before_max_pool
from firmware_export.passes.remove_identity import remove_identity
from firmware_export.passes.same_scale_groups import same_scale_groups
from firmware_export.passes.scale_into_readers import scale_into_readers
from firmware_export.passes.transpose_into_dense import transpose_into_dense

Pass = Callable[[Graph], Graph]

PASSES: Mapping[str, Pass] = {
    "remove_identity": remove_identity,
    "transpose_into_dense": transpose_into_dense,
    "crop_padding": crop_padding,
    "scale_into_readers": scale_into_readers,
    "fold_batch_norm": fold_batch_norm,
    "relu_before_max_pool": relu_before_max_pool,
    "fuse_relu": fuse_relu,
}
RANGE_PASSES: Mapping[str, Pass] = {
    "mean_of_own_scale": mean_of_own_scale,
    "same_scale_groups": same_scale_groups,
}
LAYOUT_PASSES: Mapping[str, Pass] = {
    "remove_identity": remove_identity,
    "transpose_into_dense": transpose_into_dense,
}


def run_passes(graph: Graph, passes: Mapping[str, Pass]) -> Graph:
    """Return the graph after all of these passes."""
    for rewrite in passes.values():
        graph = rewrite(graph)
    return graph
