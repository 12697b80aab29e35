"""``depthwise_conv1d`` for speed: a channel at a time as int16, two taps a product, four positions side by side.

Where fewer than four leave fewer to compute twice, the sums of the others are not used, and a compiler leaves them out.
"""

from __future__ import annotations

import numpy as np

from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.fast.doubled import doubled, filled_up, words
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code

MOST_TOGETHER = 4  # positions
SLACK = 4  # int16 behind the series: taps are counted in pairs, and vectors reach further
LONGEST_SERIES = 1024  # samples
BODY = """
const int32_t *w = @p@_stream;
@fill@for (int c = 0; c < @channels@; c++) {
    har_gather(x + c, @channels@, wide + @before@, @count@);
    for (int g = 0; g < @groups@; g++) {
        const int t = g < @groups@ - 1 ? @together@ * g : @last@;
        const int16_t *v = wide + @stride@ * t;
        int32_t sums[4] = {w[0], w[0], w[0], w[0]};
        har_add_taps(sums, w + 1, v, @pairs@, @stride@);
        @results@
    }
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
    limits = f"{low}, {high}"
    end = stream.shape[1] - 3
    together = min(range(MOST_TOGETHER, 0, -1), key=lambda n: (steps < n, -(-steps // n) * (n + 1)))
    results = [
        f"y[{channels} * (t + {i}) + c] = har_requantize(sums[{i}], w[{end}], w[{end + 1}], w[{end + 2}], {limits});"
        for i in range(together)
    ]
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
        groups=-(-steps // together),
        together=together,
        last=steps - together,
        stride=attrs.stride,
        pairs=taps.shape[1],
        results="\n".join(results),
        words=stream.shape[1],
    )
    return Kernel(
        body,
        constants={"stream": stream},
        scratch=Scratch("wide", series + SLACK + attrs.stride * (MOST_TOGETHER - together), 16),
        headers=("har_dsp.h",),
        condition="HAR_PAIRS",
    )
