"""The mean over all steps with MVE: sums of eight channels at a time, in int16."""

from __future__ import annotations

from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.targets.c.layer import Kernel, Layer, code
from firmware_export.targets.c.mve.rows import HEADERS
from firmware_export.targets.c.ops.pools2d import mean_result

MOST_STEPS = 255  # a sum of int8 stays inside of int16
BODY = """
for (int c = 0; c < @channels@; c += 8) {
    const int count = c + 8 <= @channels@ ? 8 : @channels@ - c;
    int16_t sums[8];
    har_mve_sums(x + c, @steps@, @channels@, count, sums);
    for (int i = 0; i < count; i++) {
        @result@
    }
}
"""
AVERAGE = """
*y++ = (int8_t)((sums[i] < 0 ? sums[i] - @half@ : sums[i] + @half@) / @steps@);
"""


def mve_average_pool1d(layer: Layer) -> Kernel | None:
    """None for windows other than the whole series, and for long ones."""
    attrs, (_, steps, channels) = layer.attrs(AveragePool1d), layer.inputs[0].shape
    if attrs.kernel != steps or steps > MOST_STEPS:
        return None
    return _mean(steps, channels, code(AVERAGE, steps=steps, half=steps // 2))


def mve_mean(layer: Layer) -> Kernel | None:
    """None for images and for long series."""
    shape = layer.inputs[0].shape
    if len(shape) != 3 or shape[1] > MOST_STEPS:
        return None
    begin, result = mean_result(layer)
    return _mean(shape[1], shape[2], f"const int32_t sum = sums[i] + ({begin});\n*y++ = {result};")


def _mean(steps: int, channels: int, result: str) -> Kernel:
    return Kernel(code(BODY, steps=steps, channels=channels, result=result), headers=HEADERS)
