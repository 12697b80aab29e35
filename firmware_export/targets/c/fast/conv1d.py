"""``conv1d`` for speed: x widened to int16 a stretch at a time, then two channels at up to three positions a turn.

A stretch is as many positions as ``stretches`` says; the last one may overlap the one before it. A position of an
undilated kernel sees consecutive numbers, so nothing is gathered; dilated ones of many positions take ``image``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.fast.doubled import WeightBits, doubled, fours_of, two_channel_stream
from firmware_export.targets.c.fast.image import Window, image_kernel
from firmware_export.targets.c.fast.stretches import TURNS, best_stretch
from firmware_export.targets.c.fast.two_channels import TwoChannels
from firmware_export.targets.c.fast.winograd_conv1d import winograd_conv1d
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code

MOST_GATHERED = 4  # positions of a dilated kernel
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
for (int i = 0; i < @steps@; i++) {
    for (int k = 0; k < @kernel@; k++) {
        har_widen(x + @step@ * i + @tap@ * k, wide + @stride@ * i + @channels@ * k, @channels@);
    }
}
"""


@dataclass(frozen=True, eq=False)
class _Stretch:
    """How x lies in ``wide``.

    Attributes:
        weight: ``[C_out, products]``, zero where ``wide`` has a gap.
        stride: int16 from one position to the next.
        turn: positions of a turn.
        positions: of a stretch.
        numbers: int16 of it.
        widen: the statements that fill it from position ``t`` on.
    """

    weight: NDArray[np.int8]
    stride: int
    turn: int
    positions: int
    numbers: int
    widen: str


def fast_conv1d(layer: Layer) -> Kernel | None:
    """By ``winograd`` where that pays, otherwise the plain sums; None where neither fits."""
    return winograd_conv1d(layer) or direct_conv1d(layer)


def direct_conv1d(layer: Layer, bits: WeightBits = WeightBits.INT16) -> Kernel | None:
    """One stream of biases, weights and factors a pair of channels; None for grouped or tiny convolutions."""
    attrs = layer.attrs(Conv1d)
    steps, outputs = layer.outputs[0].shape[1:]
    if attrs.groups > 1 or outputs < 2:
        return None
    dilated = attrs.dilation > 1 and attrs.kernel > 1
    if dilated and (steps > MOST_GATHERED or attrs.padding != (0, 0)):
        return _dilated(layer, attrs, bits)
    stretch = _gathered(layer, attrs) if dilated else _consecutive(layer, attrs)
    numbers = doubled(layer, stretch.weight)
    if numbers is None:
        return None
    stream = two_channel_stream(numbers, bits)
    limits = int8_limits(attrs.activation, layer.outputs[0].quantization)
    two = TwoChannels(fours_of(stream, bits), stretch.stride, outputs, *limits, stretch.turn, bits)
    if not two.fits:
        return None
    groups = stretch.positions // stretch.turn
    last = f"{layer.prefix}_two(stream, wide, y + {outputs} * t + {outputs - 2}, {groups});"
    body = code(
        BODY,
        widen=stretch.widen,
        odd=last if outputs % 2 else "",
        p=layer.prefix,
        stretches=-(-steps // stretch.positions),
        positions=stretch.positions,
        last=steps - stretch.positions,
        pairs=outputs // 2,
        outputs=outputs,
        groups=groups,
        words=stream.shape[1],
    )
    return Kernel(
        body,
        constants={"stream": stream},
        scratch=Scratch("wide", stretch.numbers + SLACK, 16),
        headers=two.headers,
        condition="HAR_PAIRS",
        functions=two.function(f"{layer.prefix}_two"),
    )


def _consecutive(layer: Layer, attrs: Conv1d) -> _Stretch:
    """Rows of x one after another, which neighbouring positions share."""
    x, (steps, outputs) = layer.inputs[0], layer.outputs[0].shape[1:]
    channels = x.shape[2]
    gap = (attrs.stride * channels) % 2
    weight = np.pad(layer.constant(1), ((0, 0), (0, 0), (0, gap))).reshape(outputs, -1)
    rows = [max(0, (count - 1) * attrs.stride + attrs.kernel) for count in range(steps + 1)]
    sizes = [2 * (channels + gap) * count for count in rows]
    turn, positions = best_stretch(steps, sizes, -(-weight.shape[1] // 4))
    if gap or attrs.padding != (0, 0):
        widen = (
            f"har_widen_rows(x, wide, {attrs.stride} * t - {attrs.padding[0]}, {rows[positions]}, {x.shape[1]}, "
            f"{channels}, {gap}, {x.quantization.zero_point});"
        )
    else:
        widen = f"har_widen(x + {attrs.stride * channels} * t, wide, {rows[positions] * channels});"
    return _Stretch(weight, attrs.stride * (channels + gap), turn, positions, sizes[positions] // 2, widen)


def _gathered(layer: Layer, attrs: Conv1d) -> _Stretch:
    """What each position sees put together: dilated, few positions share little."""
    steps, outputs = layer.outputs[0].shape[1:]
    channels = layer.inputs[0].shape[2]
    products = attrs.kernel * channels
    stride = products + products % 2
    widen = code(
        GATHER,
        steps=steps,
        kernel=attrs.kernel,
        step=attrs.stride * channels,
        tap=attrs.dilation * channels,
        stride=stride,
        channels=channels,
    )
    weight = np.pad(layer.constant(1).reshape(outputs, -1), ((0, 0), (0, stride - products)))
    turn = next(turn for turn in TURNS if steps % turn == 0)
    return _Stretch(weight, stride, turn, steps, steps * stride, widen)


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
