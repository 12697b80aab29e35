"""``conv1d`` for speed: x widened to int16 a stretch at a time, then two channels at two or three positions a turn.

A stretch is as many positions as ``stretches`` says; the last one may overlap the one before it. A single position,
as a hop may bring, is a dense layer. A position of an undilated kernel sees consecutive numbers, so nothing is
gathered; dilated ones take ``image``.
"""

from __future__ import annotations

import numpy as np

from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.fast.dense import dense_kernel
from firmware_export.targets.c.fast.doubled import WeightBits, doubled, fours_of, two_channel_stream
from firmware_export.targets.c.fast.image import Window, image_kernel
from firmware_export.targets.c.fast.stretches import best_stretch
from firmware_export.targets.c.fast.two_channels import TwoChannels
from firmware_export.targets.c.fast.winograd_conv1d import winograd_conv1d
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code

MOST_GATHERED = 4  # positions
SLACK = 4  # int16 behind the last row: products are counted in fours
BODY = """
for (int s = 0; s < @stretches@; s++) {
    const int t = s < @stretches@ - 1 ? @positions@ * s : @last@;
    const int32_t *stream = @p@_stream;
    @widen@
    for (int o = 0; o < @pairs@; o++) {
        @p@_two(stream, wide, y + @outputs@ * t + 2 * o, @groups@);
        stream += @words@;
    }
    @odd@
}
"""
GATHER = """
for (int t = 0; t < @steps@; t++) {
    for (int k = 0; k < @kernel@; k++) {
        har_widen(x + @step@ * t + @tap@ * k, wide + @stride@ * t + @channels@ * k, @channels@);
    }
}
"""
TURNS_ALONE = """
const int32_t *stream = @p@_stream;
@fill@
for (int o = 0; o < @pairs@; o++) {
    @p@_two(stream, wide, y + 2 * o, @groups@);
    stream += @words@;
}
@odd@
"""


def fast_conv1d(layer: Layer) -> Kernel | None:
    """By ``winograd`` where that pays, otherwise the plain sums; None where neither fits."""
    return winograd_conv1d(layer) or direct_conv1d(layer)


def direct_conv1d(layer: Layer, bits: WeightBits = WeightBits.INT16) -> Kernel | None:
    """One stream of biases, weights and factors a pair of channels; None for grouped or tiny convolutions."""
    attrs, x = layer.attrs(Conv1d), layer.inputs[0]
    output = layer.outputs[0]
    steps, outputs = output.shape[1:]
    if attrs.dilation > 1 and attrs.kernel > 1 and attrs.groups == 1:
        few = steps <= MOST_GATHERED and attrs.padding == (0, 0) and outputs > 1
        return _gathered(layer, attrs, bits) if few else _dilated(layer, attrs, bits)
    channels = x.shape[2]
    gap = (attrs.stride * channels) % 2
    stride = attrs.stride * (channels + gap)
    if attrs.groups > 1 or outputs < 2:
        return None
    if steps == 1:
        seen = layer.constant(1).reshape(outputs, -1)
        return dense_kernel(layer, seen, attrs.activation, bits) if attrs.padding == (0, 0) else None
    data = np.pad(layer.constant(1), ((0, 0), (0, 0), (0, gap)))
    numbers = doubled(layer, data.reshape(outputs, -1))
    if numbers is None:
        return None
    stream = two_channel_stream(numbers, bits)
    limits = int8_limits(attrs.activation, output.quantization)
    fours = fours_of(stream, bits)
    sizes = [2 * (channels + gap) * max(0, (count - 1) * attrs.stride + attrs.kernel) for count in range(steps + 1)]
    turn, positions = best_stretch(steps, sizes, fours)
    two = TwoChannels(fours, stride, outputs, *limits, turn, bits)
    if not two.fits:
        return None
    rows = (positions - 1) * attrs.stride + attrs.kernel
    if gap or attrs.padding != (0, 0):
        widen = (
            f"har_widen_rows(x, wide, {attrs.stride} * t - {attrs.padding[0]}, {rows}, {x.shape[1]}, {channels}, "
            f"{gap}, {x.quantization.zero_point});"
        )
    else:
        widen = f"har_widen(x + {attrs.stride * channels} * t, wide, {rows * channels});"
    groups = positions // turn
    last = f"{layer.prefix}_two(stream, wide, y + {outputs} * t + {outputs - 2}, {groups});"
    body = code(
        BODY,
        widen=widen,
        odd=last if outputs % 2 else "",
        p=layer.prefix,
        stretches=-(-steps // positions),
        positions=positions,
        last=steps - positions,
        pairs=outputs // 2,
        outputs=outputs,
        groups=groups,
        words=stream.shape[1],
    )
    return Kernel(
        body,
        constants={"stream": stream},
        scratch=Scratch("wide", rows * (channels + gap) + SLACK, 16),
        headers=two.headers,
        condition="HAR_PAIRS",
        functions=two.function(f"{layer.prefix}_two"),
    )


def _gathered(layer: Layer, attrs: Conv1d, bits: WeightBits) -> Kernel | None:
    """A dilated one of few positions: what each of them sees is put together, and none shares it with another."""
    steps, outputs = layer.outputs[0].shape[1:]
    channels = layer.inputs[0].shape[2]
    run = attrs.kernel * channels
    stride = run + run % 2
    data = np.pad(layer.constant(1).reshape(outputs, -1), ((0, 0), (0, stride - run)))
    fill = code(
        GATHER,
        steps=steps,
        kernel=attrs.kernel,
        channels=channels,
        step=attrs.stride * channels,
        tap=attrs.dilation * channels,
        stride=stride,
    )
    if steps == 1:
        return dense_kernel(layer, data, attrs.activation, bits, fill)
    numbers = doubled(layer, data)
    if numbers is None:
        return None
    stream = two_channel_stream(numbers, bits)
    turn = 2 if steps % 3 else 3
    limits = int8_limits(attrs.activation, layer.outputs[0].quantization)
    two = TwoChannels(fours_of(stream, bits), stride, outputs, *limits, turn, bits)
    if not two.fits:
        return None
    groups = steps // turn
    body = code(
        TURNS_ALONE,
        fill=fill,
        p=layer.prefix,
        pairs=outputs // 2,
        groups=groups,
        words=stream.shape[1],
        odd=f"{layer.prefix}_two(stream, wide, y + {outputs - 2}, {groups});" if outputs % 2 else "",
    )
    return Kernel(
        body,
        constants={"stream": stream},
        scratch=Scratch("wide", steps * stride + SLACK, 16),
        headers=two.headers,
        condition="HAR_PAIRS",
        functions=two.function(f"{layer.prefix}_two"),
    )


def _dilated(layer: Layer, attrs: Conv1d, bits: WeightBits) -> Kernel | None:
    """As of an image one pixel wide."""
    _, rows, channels = layer.inputs[0].shape
    return image_kernel(
        layer,
        Window(
            (rows, 1, channels),
            (attrs.kernel, 1),
            (attrs.stride, 1),
            (attrs.dilation, 1),
            (attrs.padding, (0, 0)),
            (layer.outputs[0].shape[1], 1),
            attrs.activation,
        ),
        bits,
    )
