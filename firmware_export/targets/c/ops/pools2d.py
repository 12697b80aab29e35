"""``max_pool2d``, ``average_pool2d`` and ``mean`` in C."""

from __future__ import annotations

import numpy as np

from firmware_export.affine import INT8_MIN, fixed_point
from firmware_export.ops.average_pool2d import AveragePool2d
from firmware_export.ops.max_pool2d import MaxPool2d
from firmware_export.ops.window2d import NO_PADDING
from firmware_export.targets.c.layer import Kernel, Layer, code
from firmware_export.targets.c.ops.padding import Seen, band

BODY = """
for (int r = 0; r < @rows@; r++) {
    const int8_t *band = @band@;
    for (int t = 0; t < @columns@; t++) {
        for (int c = 0; c < @channels@; c++) {
            const int8_t *seen = band + @column_stride@ * t + c;
            @pool@
        }
    }
}
"""
MAX = """
int8_t largest = -128;
for (int i = 0; i < @kernel_rows@; i++) {
    for (int j = 0; j < @kernel_columns@; j++) {
        const int8_t other = seen[@width@ * i + @channels@ * j];
        largest = other > largest ? other : largest;
    }
}
*y++ = largest;
"""
AVERAGE = """
int32_t sum = 0;
for (int i = 0; i < @kernel_rows@; i++) {
    for (int j = 0; j < @kernel_columns@; j++) {
        sum += seen[@width@ * i + @channels@ * j];
    }
}
*y++ = (int8_t)((sum < 0 ? sum - @half@ : sum + @half@) / @count@);
"""
MEAN = """
for (int c = 0; c < @channels@; c++) {
    int32_t sum = @begin@;
    for (int i = 0; i < @count@; i++) {
        sum += x[@channels@ * i + c];
    }
    y[c] = @result@;
}
"""


def emit_max_pool2d(layer: Layer) -> Kernel:
    """The largest value; padding never wins."""
    attrs = layer.attrs(MaxPool2d)
    seen, row = band(layer.inputs[0].shape, attrs.padding, attrs.kernel[0], stride=attrs.stride[0], value=INT8_MIN)
    return Kernel(_pool(MAX, layer, attrs, seen, row), scratch=seen.scratch, headers=seen.headers)


def emit_average_pool2d(layer: Layer) -> Kernel:
    """The mean, halves away from zero."""
    attrs = layer.attrs(AveragePool2d)
    seen, row = band(layer.inputs[0].shape, NO_PADDING, attrs.kernel[0], stride=attrs.stride[0], value=0)
    return Kernel(_pool(AVERAGE, layer, attrs, seen, row))


def _pool(template: str, layer: Layer, attrs: MaxPool2d | AveragePool2d, seen: Seen, row: int) -> str:
    """``row`` bytes lie between two rows that are ``seen``."""
    _, rows, steps, channels = layer.outputs[0].shape
    count = attrs.kernel[0] * attrs.kernel[1]
    inner = code(
        template,
        kernel_rows=attrs.kernel[0],
        kernel_columns=attrs.kernel[1],
        width=row,
        channels=channels,
        half=count // 2,
        count=count,
    )
    return code(
        BODY,
        pool=inner,
        band=seen.rows,
        rows=rows,
        columns=steps,
        channels=channels,
        column_stride=channels * attrs.stride[1],
    )


def emit_mean(layer: Layer) -> Kernel:
    """Of all positions, the count inside the multiplier."""
    x = layer.inputs[0]
    begin, result = mean_result(layer)
    body = code(MEAN, channels=x.shape[-1], count=int(np.prod(x.shape[1:-1])), begin=begin, result=result)
    return Kernel(body)


def mean_result(layer: Layer) -> tuple[int, str]:
    """Return what the sum of a channel begins with, and the int8 that C makes of ``sum``."""
    x, output = layer.inputs[0], layer.outputs[0].quantization
    count = int(np.prod(x.shape[1:-1]))
    multiplier, shift = fixed_point(x.quantization.scale / output.scale)
    lift = min(count.bit_length() - 1, 32, 31 + shift)
    rescaled = f"har_rescale(sum, {(multiplier << lift) // count}, {shift - lift})"
    return -count * x.quantization.zero_point, f"har_to_int8({rescaled}, {output.zero_point}, -128, 127)"
