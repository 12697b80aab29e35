"""``softmax`` in C: ``runtime/har_softmax.h`` on every row."""

from __future__ import annotations

import math

import numpy as np

from firmware_export.affine import fixed_point
from firmware_export.targets.c.layer import Kernel, Layer, code

DIFFERENCE_FRACTION = 26  # differences of logits are Q5.26
BODY = """
for (int row = 0; row < @rows@; row++) {
    har_softmax(x + @count@ * row, y + @count@ * row, @count@, @multiplier@, @shift@, @reach@);
}
"""


def emit_softmax(layer: Layer) -> Kernel:
    """Over the last axis."""
    *rows, count = layer.outputs[0].shape
    lift = min(layer.inputs[0].quantization.scale * 2.0**DIFFERENCE_FRACTION, 2.0**31 - 1)
    multiplier, shift = fixed_point(lift)
    reach = min(math.floor(31 * 2.0**DIFFERENCE_FRACTION / 2.0**shift), 255)
    body = code(BODY, rows=int(np.prod(rows)), count=count, multiplier=multiplier, shift=shift, reach=reach)
    return Kernel(body, headers=("har_softmax.h",))
