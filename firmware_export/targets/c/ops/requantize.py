"""``requantize`` in C: int8 in another scale."""

from __future__ import annotations

import numpy as np

from firmware_export.affine import INT8_MAX, INT8_MIN, fixed_point
from firmware_export.targets.c.layer import Kernel, Layer, code

BODY = """
for (int i = 0; i < @size@; i++) {
    y[i] = har_to_int8(har_rescale(x[i] - @zero_x@, @factor@), @zero@, @low@, @high@);
}
"""


def emit_requantize(layer: Layer) -> Kernel:
    """Both sides int8: the target takes no others."""
    x, y = layer.inputs[0].quantization, layer.outputs[0].quantization
    multiplier, shift = fixed_point(x.scale / y.scale)
    return Kernel(
        code(
            BODY,
            size=int(np.prod(layer.outputs[0].shape)),
            zero_x=f"({x.zero_point})",
            factor=f"{multiplier}, {shift}",
            zero=y.zero_point,
            low=INT8_MIN,
            high=INT8_MAX,
        )
    )
