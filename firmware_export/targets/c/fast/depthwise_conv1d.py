"""``depthwise_conv1d`` for speed: a channel at a time as int16, two taps a product, a few positions a turn.

The last turn may overlap the one before it; how many positions a turn has leaves few to compute twice.
"""

from __future__ import annotations

import numpy as np

from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.fast.doubled import doubled, filled_up, words
from firmware_export.targets.c.fast.taps import MOST_POSITIONS, Taps, positions_of_a_turn
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code

SLACK = 4  # int16 behind the series: taps are counted in pairs, and vectors reach further
LONGEST_SERIES = 1024  # samples
BODY = """
const int32_t *w = @p@_stream;
@fill@for (int c = 0; c < @channels@; c++) {
    har_gather(x + c, @channels@, wide + @before@, @count@);
    @p@_taps(w, wide, y + c, @groups@);
    @rest@
    w += @words@;
}
"""


def fast_depthwise_conv1d(layer: Layer) -> Kernel | None:
    """One stream a channel: bias, taps in pairs, factors; None for dilated or multiplied ones, and for long series."""
    attrs, x = layer.attrs(DepthwiseConv1d), layer.inputs[0]
    output = layer.outputs[0]
    steps, channels = output.shape[1], x.shape[2]
    series = x.shape[1] + sum(attrs.padding)
    if attrs.multiplier > 1 or (attrs.dilation > 1 and attrs.kernel > 1) or series > LONGEST_SERIES:
        return None
    numbers = doubled(layer, layer.constant(1).T)
    if numbers is None:
        return None
    taps = words(filled_up(numbers.weight, 2))
    stream = np.concatenate([numbers.bias[:, None], taps, numbers.last], axis=1)
    low, high = int8_limits(attrs.activation, output.quantization)
    pairs = taps.shape[1]
    together = positions_of_a_turn(steps, pairs)
    function = Taps(pairs, attrs.stride, channels, low, high, together)
    last = steps - together
    before, after = attrs.padding
    fill = ""
    if before or after:
        zero = x.quantization.zero_point
        fill = code(
            """
            for (int t = 0; t < @before@; t++) {
                wide[t] = @zero@;
            }
            for (int t = @begin@; t < @end@; t++) {
                wide[t] = @zero@;
            }
            """,
            before=before,
            begin=before + x.shape[1],
            end=series,
            zero=zero,
        )
    body = code(
        BODY,
        fill=f"{fill}\n" if fill else "",
        p=layer.prefix,
        channels=channels,
        before=before,
        count=x.shape[1],
        groups=steps // together,
        rest=f"{layer.prefix}_taps(w, wide + {attrs.stride * last}, y + {channels * last} + c, 1);"
        if steps % together
        else "",
        words=stream.shape[1],
    )
    return Kernel(
        body,
        constants={"stream": stream},
        scratch=Scratch("wide", series + SLACK + attrs.stride * (MOST_POSITIONS - together), 16),
        headers=("har_dsp.h",),
        condition="HAR_PAIRS",
        functions=function.function(f"{layer.prefix}_taps"),
    )
