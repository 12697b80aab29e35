"""``forest`` in C: no branches, every tree takes the same number of steps."""

from __future__ import annotations

import numpy as np

from firmware_export.ops.forest import Forest, trees
from firmware_export.targets.c.layer import Kernel, Layer, code

BODY = """
for (int t = 0; t < @trees@; t++) {
    int p = @trees@ + t;
    for (int level = 0; level < @depth@; level++) {
        p = 2 * p + (x[@prefix@_columns[p]] > @prefix@_limits[p]);
    }
    memcpy(y + @classes@ * t, @prefix@_leaves + @classes@ * (p - @size@), @classes@);
}
"""


def emit_forest(layer: Layer) -> Kernel:
    """Down each tree, then a copy of the leaf."""
    attrs = layer.attrs(Forest)
    columns, limits, leaves = (layer.constant(i) for i in (1, 2, 3))
    size, classes = leaves.shape
    body = code(
        BODY, trees=trees(attrs, leaves.shape), depth=attrs.depth, prefix=layer.prefix, classes=classes, size=size
    )
    narrow = columns.astype(np.uint8 if columns.max() < 256 else np.uint16)
    return Kernel(body, constants={"columns": narrow, "limits": limits, "leaves": leaves})
