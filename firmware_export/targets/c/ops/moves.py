"""``concat``, ``reverse``, ``transpose``, and ``reshape`` and ``crop1d`` where they copy: integers move as they are."""

from __future__ import annotations

import numpy as np

from firmware_export.ops.crop1d import Crop1d
from firmware_export.ops.transpose import Transpose
from firmware_export.targets.c.layer import Kernel, Layer, code

COPY = """
memcpy(y, x + @begin@, @size@);
"""
REVERSE = """
for (int t = 0; t < @steps@; t++) {
    memcpy(y + @channels@ * t, x + @channels@ * (@last@ - t), @channels@);
}
"""
CONCAT = """
for (int t = 0; t < @steps@; t++) {
    @copies@
}
"""


def emit_reshape(layer: Layer) -> Kernel:
    """A copy, to where the caller wants it."""
    return _copy(layer, 0)


def emit_crop1d(layer: Layer) -> Kernel:
    """A copy of the stretch, to where the caller wants it."""
    return _copy(layer, layer.attrs(Crop1d).start * layer.inputs[0].shape[2])


def _copy(layer: Layer, begin: int) -> Kernel:
    return Kernel(code(COPY, begin=begin, size=int(np.prod(layer.outputs[0].shape))))


def emit_reverse(layer: Layer) -> Kernel:
    """Steps from the last to the first."""
    _, steps, channels = layer.outputs[0].shape
    return Kernel(code(REVERSE, steps=steps, channels=channels, last=steps - 1))


def emit_concat(layer: Layer) -> Kernel:
    """Channels of all inputs, step by step."""
    *leading, total = layer.outputs[0].shape
    reads = tuple(f"x{i}" for i in range(len(layer.inputs)))
    widths = [value.shape[-1] for value in layer.inputs]
    begins = np.cumsum([0, *widths])
    copies = [
        f"memcpy(y + {total} * t + {begin}, {name} + {width} * t, {width});"
        for name, begin, width in zip(reads, begins, widths, strict=False)
    ]
    return Kernel(code(CONCAT, steps=int(np.prod(leading)), copies="\n".join(copies)), reads=reads)


def emit_transpose(layer: Layer) -> Kernel:
    """Loops over the output's axes, the innermost first written."""
    order = layer.attrs(Transpose).order[1:]
    lengths = layer.inputs[0].shape[1:]
    strides = [int(np.prod(lengths[axis:])) for axis in order]  # of axis - 1 without N: what lies behind it
    body = f"*y++ = x[{' + '.join(f'{stride} * i{axis}' for axis, stride in zip(order, strides, strict=True))}];"
    for axis in reversed(order):
        body = code("for (int i@a@ = 0; i@a@ < @n@; i@a@++) {\n    @body@\n}", a=axis, n=lengths[axis - 1], body=body)
    return Kernel(body)
