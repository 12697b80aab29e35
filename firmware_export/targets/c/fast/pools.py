"""``max_pool1d`` and the ``average_pool1d`` over all steps for speed: four channels at once."""

from __future__ import annotations

import math

from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code

MOST_STEPS = 255  # a sum of int8 stays inside of int16
AVERAGE = """
for (int c = 0; c < @channels@; c += 4) {
    const int8_t *seen = x + c;
    uint32_t even = 0, odd = 0;
    for (int t = 0; t < @steps@; t++) {
        even = har_add_even_bytes(even, har_word(seen));
        odd = har_add_odd_bytes(odd, har_word(seen));
        seen += @channels@;
    }
    const int32_t sums[4] = {(int16_t)even, (int16_t)odd, (int16_t)(even >> 16), (int16_t)(odd >> 16)};
    for (int i = 0; i < 4; i++) {
        *y++ = (int8_t)((sums[i] < 0 ? sums[i] - @half@ : sums[i] + @half@) / @steps@);
    }
}
"""


def fast_average_pool1d(layer: Layer) -> Kernel | None:
    """The mean over all steps; None for other windows, and where channels are not a multiple of four."""
    attrs, (_, steps, channels) = layer.attrs(AveragePool1d), layer.inputs[0].shape
    if attrs.kernel != steps or channels % 4 or steps > MOST_STEPS:
        return None
    body = code(AVERAGE, channels=channels, steps=steps, half=steps // 2)
    return Kernel(body, headers=("har_dsp.h",), condition="HAR_PAIRS")


def fast_max_pool1d(layer: Layer) -> Kernel | None:
    """Windows built by doubling: the largest of 2, 4, 8, ... steps from two halves; None with padding.

    A window of K steps at stride S is one of K / g blocks at stride S / g, where g divides both and a block's largest
    value is found first. Of the largest power of two n within K / g, two windows of n blocks that overlap cover it.
    """
    attrs, (_, steps, channels) = layer.attrs(MaxPool1d), layer.inputs[0].shape
    if attrs.padding != (0, 0) or attrs.kernel < 2:
        return None
    block = math.gcd(attrs.kernel, attrs.stride)
    blocks, stride, window = steps // block, attrs.stride // block, attrs.kernel // block
    outputs = layer.outputs[0].shape[1]
    lines = []
    source = "x"
    if block > 1:
        source = "largest"
        lines.append(f"for (int i = 0; i < {blocks}; i++) {{")
        lines.append(f"    const int8_t *seen = x + {block * channels} * i;")
        first = f"seen, seen + {channels}"
        for _ in range(block - 1):
            lines.append(f"    har_larger(largest + {channels} * i, {first}, {channels});")
            lines.append(f"    seen += {channels};")
            first = f"largest + {channels} * i, seen + {channels}"
        lines.pop()
        lines.append("}")
    size = 1
    while 2 * size < window:
        count = (blocks - 2 * size + 1) * channels
        lines.append(f"har_larger(largest, {source}, {source} + {size * channels}, {count});")
        source, size = "largest", 2 * size
    apart = (window - size) * channels
    if window == 1 and stride == 1:
        lines.append(f"memcpy(y, {source}, {outputs * channels});")
    elif stride == 1:
        lines.append(f"har_larger(y, {source}, {source} + {apart}, {outputs * channels});")
    else:
        lines.append(f"for (int t = 0; t < {outputs}; t++) {{")
        lines.append(f"    const int8_t *seen = {source} + {stride * channels} * t;")
        lines.append(f"    har_larger(y + {channels} * t, seen, seen + {apart}, {channels});")
        lines.append("}")
    needed = source == "largest"
    scratch = Scratch("largest", blocks * channels, 8) if needed else None
    return Kernel("\n".join(lines), scratch=scratch, headers=("har_dsp.h",))
