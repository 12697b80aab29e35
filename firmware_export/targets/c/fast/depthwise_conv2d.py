"""``depthwise_conv2d`` for speed: a channel's padded image as int16, two taps of a row a product, up to five positions.

The positions lie side by side in a row of the output; their number is the one that fits its length best.
"""

from __future__ import annotations

import numpy as np

from firmware_export.ops.depthwise_conv2d import DepthwiseConv2d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.fast.doubled import doubled, words
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code

TOGETHER = (3, 4, 5)  # positions
LARGEST_IMAGE = 2048  # int16 of a channel
LARGEST_KERNEL = 64  # taps; more is long code
SLACK = 4  # int16 behind the image: taps are counted in pairs
BODY = """
const int32_t *w = @p@_stream;
@fill@for (int c = 0; c < @channels@; c++) {
    @gather@
    for (int r = 0; r < @out_rows@; r++) {
        for (int g = 0; g < @groups@; g++) {
            const int t = g < @groups@ - 1 ? @together@ * g : @last@;
            const int16_t *v = wide + @row_stride@ * r + @stride@ * t;
            int8_t *out = y + @channels@ * (@out_columns@ * r + t) + c;
            @sums@
            @products@
            @results@
        }
    }
    w += @words@;
}
"""
FILL = """
for (int i = 0; i < @count@; i++) {
    wide[i] = @zero@;
}
"""
GATHER_ROWS = """
for (int r = 0; r < @rows@; r++) {
    har_gather(x + @row@ * r + c, @channels@, wide + @width@ * r + @begin@, @columns@);
}
"""


def fast_depthwise_conv2d(layer: Layer) -> Kernel | None:
    """One stream a channel: bias, taps of each row in pairs, factors; None for multiplied ones and large images."""
    attrs, x, output = layer.attrs(DepthwiseConv2d), layer.inputs[0], layer.outputs[0]
    _, rows, columns, channels = x.shape
    _, out_rows, out_columns, _ = output.shape
    (above, below), (left, right) = attrs.padding
    height, width = above + rows + below, left + columns + right
    kernel_rows, kernel_columns = attrs.kernel
    dilated = attrs.dilation[1] > 1 and kernel_columns > 1
    if (
        attrs.multiplier > 1
        or dilated
        or height * width > LARGEST_IMAGE
        or kernel_rows * kernel_columns > LARGEST_KERNEL
    ):
        return None
    data = np.moveaxis(layer.constant(1), 2, 0)
    filled = np.pad(data, ((0, 0), (0, 0), (0, kernel_columns % 2)))
    numbers = doubled(layer, filled.reshape(channels, -1))
    if numbers is None:
        return None
    taps = words(numbers.weight)
    stream = np.concatenate([numbers.bias[:, None], taps, numbers.last], axis=1)
    together = min(TOGETHER, key=lambda n: (-(-out_columns // n) * n, -n)) if out_columns > 2 else out_columns
    pairs = filled.shape[2] // 2
    products = [
        f"s{i} = har_smlad((uint32_t)w[{1 + pairs * row + pair}], "
        f"har_word(v + {width * attrs.dilation[0] * row + attrs.stride[1] * i + 2 * pair}), s{i});"
        for row in range(kernel_rows)
        for pair in range(pairs)
        for i in range(together)
    ]
    low, high = int8_limits(attrs.activation, output.quantization)
    end = stream.shape[1] - 3
    results = [
        f"out[{channels * i}] = har_requantize(s{i}, w[{end}], w[{end + 1}], w[{end + 2}], {low}, {high});"
        for i in range(together)
    ]
    if height * width == rows * columns:
        fill, gather = "", f"har_gather(x + c, {channels}, wide, {rows * columns});"
    else:
        fill = code(FILL, count=height * width, zero=x.quantization.zero_point) + "\n"
        gather = code(
            GATHER_ROWS,
            rows=rows,
            row=columns * channels,
            channels=channels,
            width=width,
            begin=width * above + left,
            columns=columns,
        )
    body = code(
        BODY,
        fill=fill,
        p=layer.prefix,
        channels=channels,
        gather=gather,
        out_rows=out_rows,
        out_columns=out_columns,
        groups=-(-out_columns // together),
        together=together,
        last=out_columns - together,
        row_stride=width * attrs.stride[0],
        stride=attrs.stride[1],
        sums=f"int32_t {', '.join(f's{i} = w[0]' for i in range(together))};",
        products="\n".join(products),
        results="\n".join(results),
        words=stream.shape[1],
    )
    scratch = Scratch("wide", height * width + SLACK, 16)
    return Kernel(body, constants={"stream": stream}, scratch=scratch, headers=("har_dsp.h",), condition="HAR_PAIRS")
