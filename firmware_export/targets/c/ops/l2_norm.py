"""``l2_norm`` in C: ``runtime/har_l2_norm.h`` on every column."""

from __future__ import annotations

import numpy as np

from edgehar.errors import ExportError
from firmware_export.targets.c.layer import Kernel, Layer, code

LARGEST_SUM = 2**29
BODY = """
for (int row = 0; row < @rows@; row++) {
    har_l2_norm(x + @count@ * row, y + @count@ * row, @count@, @zero@);
}
"""


def emit_l2_norm(layer: Layer) -> Kernel:
    """Over the last axis."""
    *rows, count = layer.outputs[0].shape
    if count * 255**2 >= LARGEST_SUM:
        raise ExportError(
            f"target 'c': node {layer.node.name!r} (l2_norm) has {count} channels, expected at most "
            f"{LARGEST_SUM // 255**2}"
        )
    zero = layer.inputs[0].quantization.zero_point
    return Kernel(code(BODY, rows=int(np.prod(rows)), count=count, zero=zero), headers=("har_l2_norm.h",))
