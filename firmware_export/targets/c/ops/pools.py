"""``max_pool1d`` and ``average_pool1d`` in C."""

from __future__ import annotations

from firmware_export.affine import INT8_MIN
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.targets.c.layer import Kernel, Layer, code
from firmware_export.targets.c.ops.padding import seen

MAX = """
for (int t = 0; t < @steps@; t++) {
    const int8_t *window = @rows@;
    for (int c = 0; c < @channels@; c++) {
        const int8_t *seen = window + c;
        int8_t largest = seen[0];
        for (int k = 1; k < @kernel@; k++) {
            largest = seen[@channels@ * k] > largest ? seen[@channels@ * k] : largest;
        }
        *y++ = largest;
    }
}
"""
AVERAGE = """
for (int t = 0; t < @steps@; t++) {
    const int8_t *window = x + @stride@ * t;
    for (int c = 0; c < @channels@; c++) {
        const int8_t *seen = window + c;
        int32_t sum = 0;
        for (int k = 0; k < @kernel@; k++) {
            sum += seen[@channels@ * k];
        }
        *y++ = (int8_t)((sum < 0 ? sum - @half@ : sum + @half@) / @kernel@);
    }
}
"""


def emit_max_pool1d(layer: Layer) -> Kernel:
    """The largest value; padding never wins."""
    attrs, x = layer.attrs(MaxPool1d), layer.inputs[0]
    rows = seen(x.shape, attrs.padding, f"{attrs.stride} * t", attrs.kernel, INT8_MIN)
    return Kernel(_pool(MAX, layer, attrs, rows=rows.rows), scratch=rows.scratch, headers=rows.headers)


def emit_average_pool1d(layer: Layer) -> Kernel:
    """The mean, halves away from zero."""
    attrs = layer.attrs(AveragePool1d)
    stride = attrs.stride * layer.inputs[0].shape[2]
    return Kernel(_pool(AVERAGE, layer, attrs, half=attrs.kernel // 2, stride=stride))


def _pool(template: str, layer: Layer, attrs: MaxPool1d | AveragePool1d, **parts: object) -> str:
    _, steps, channels = layer.outputs[0].shape
    return code(template, steps=steps, channels=channels, kernel=attrs.kernel, **parts)
