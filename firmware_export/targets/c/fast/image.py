"""Convolutions over an image, or over a dilated series, which is an image one pixel wide, for speed.

What positions see is copied out as int16, for as many of them as ``stretches`` says; the last stretch may overlap the
one before it. There are two ways, of which the one with less work is taken:

1. Patches: what a position sees, one after another. A stretch may go on in the next row.
2. Columns: the pixels above each other that a kernel covers, column by column. Neighbours share them, and what a
   position sees are consecutive ones. A stretch stays in its row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_export.ops.op import FusedActivation, int8_limits
from firmware_export.ops.window2d import NO_PADDING, Padding2d, Pair
from firmware_export.targets.c.fast.doubled import WeightBits, doubled, fours_of, two_channel_stream
from firmware_export.targets.c.fast.stretches import CALL, TURNS, best_stretch
from firmware_export.targets.c.fast.two_channels import TwoChannels
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code

FEWEST_POSITIONS = 2
SLACK = 4  # int16 behind what the last position sees: products are counted in fours
CYCLES_OF_A_NUMBER = 2.5  # to copy it as int16
BODY = """
for (int s = 0; s < @stretches@; s++) {
    const int32_t *stream = @p@_stream;
    @place@
    @widen@
    for (int o = 0; o < @pairs@; o++) {
        @p@_two(stream, wide, out + 2 * o, @groups@);
        stream += @words@;
    }
    @odd@
}
"""
FLAT = """
const int t = s < @whole@ ? @positions@ * s : @last@;
int8_t *out = y + @outputs@ * t;
"""
PATCHES = """
int row = t / @out_columns@, column = t % @out_columns@;
for (int i = 0; i < @positions@; i++) {
    har_widen_patch(x, wide + @pitch@ * i, @rows@, @columns@, @channels@, @row_stride@ * row - @above@,
                    @column_stride@ * column - @left@, @kernel_rows@, @kernel_columns@, @row_step@, @column_step@,
                    @zero@);
    if (++column == @out_columns@) {
        column = 0;
        row++;
    }
}
"""
IN_ROW = """
const int row = s / @in_row@, t = s % @in_row@ < @whole@ ? @positions@ * (s % @in_row@) : @last@;
int8_t *out = y + @outputs@ * (@out_columns@ * row + t);
"""
COLUMNS = """
for (int j = 0; j < @seen@; j++) {
    har_widen_patch(x, wide + @pitch@ * j, @rows@, @columns@, @channels@, @row_stride@ * row - @above@,
                    @column_stride@ * t - @left@ + j, @kernel_rows@, 1, @row_step@, 1, @zero@);
}
"""


@dataclass(frozen=True)
class Window:
    """What a convolution's kernel sees of an image ``[rows, columns, channels]``, and where."""

    image: tuple[int, int, int]
    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Padding2d
    size: Pair  # of the output
    activation: FusedActivation


@dataclass(frozen=True, eq=False)
class _Way:
    """One way to lay out what positions see.

    Attributes:
        weight: ``[C_out, products]`` in that order.
        stride: int16 from one position to the next.
        pitch: int16 from one copied piece to the next.
        turn: positions of a turn of the inner function.
        positions: of a stretch.
        stretches: in all.
        numbers: int16 of a stretch.
        place, widen: statements.
        words: that they name.
    """

    weight: NDArray[np.int8]
    stride: int
    pitch: int
    turn: int
    positions: int
    stretches: int
    numbers: int
    place: str
    widen: str
    words: dict[str, int]

    @property
    def cycles(self) -> float:
        """About what it takes."""
        outputs, products = map(int, self.weight.shape)
        step, besides = TURNS[self.turn]
        pair = self.positions // self.turn * (step * -(-products // 4) + besides) + CALL
        return self.stretches * (-(-outputs // 2) * pair + self.numbers * CYCLES_OF_A_NUMBER)


def image_kernel(layer: Layer, window: Window, bits: WeightBits = WeightBits.INT16) -> Kernel | None:
    """Return the kernel of a convolution whose weight is ``[C_out, K_h, K_w, C_in]``, perhaps without ``K_w``.

    None for fewer than two outputs or positions, and where numbers do not fit.
    """
    data = layer.constant(1)
    weight = data.reshape(len(data), *window.kernel, window.image[2])
    ways = [way for way in (_patches(weight, window), _columns(weight, window)) if way is not None]
    kernels = [_kernel(layer, window, way, bits) for way in sorted(ways, key=lambda way: way.cycles)]
    return next((kernel for kernel in kernels if kernel is not None), None)


def _patches(weight: NDArray[np.int8], window: Window) -> _Way | None:
    outputs, patch = len(weight), weight[0].size
    count, pitch = window.size[0] * window.size[1], patch + patch % 2
    if count < FEWEST_POSITIONS:
        return None
    turn, positions = best_stretch(count, [2 * pitch * n for n in range(count + 1)], -(-pitch // 4))
    pixel = (window.kernel, window.stride, window.padding) == ((1, 1), (1, 1), NO_PADDING) and pitch == patch
    stretches = -(-count // positions)
    return _Way(
        np.pad(weight.reshape(outputs, -1), ((0, 0), (0, pitch - patch))),
        stride=pitch,
        pitch=pitch,
        turn=turn,
        positions=positions,
        stretches=stretches,
        numbers=pitch * positions,
        place=FLAT,
        widen=f"har_widen(x + {patch} * t, wide, {patch * positions});" if pixel else PATCHES,
        words={"whole": stretches - 1, "last": count - positions},
    )


def _columns(weight: NDArray[np.int8], window: Window) -> _Way | None:
    rows, columns = window.kernel
    column, stride = rows * window.image[2], window.stride[1]
    if (window.dilation[1] > 1 and columns > 1) or window.size[1] < FEWEST_POSITIONS:
        return None
    gap = (column * stride) % 2
    pitch, count = column + gap, window.size[1]
    seen = [max(0, (n - 1) * stride + columns) for n in range(count + 1)]
    turn, positions = best_stretch(count, [2 * pitch * n for n in seen], -(-pitch * columns // 4))
    in_row = -(-count // positions)
    by_column = weight.transpose(0, 2, 1, 3).reshape(len(weight), columns, column)
    return _Way(
        np.pad(by_column, ((0, 0), (0, 0), (0, gap))).reshape(len(weight), -1),
        stride=stride * pitch,
        pitch=pitch,
        turn=turn,
        positions=positions,
        stretches=window.size[0] * in_row,
        numbers=pitch * seen[positions],
        place=IN_ROW,
        widen=COLUMNS,
        words={"whole": in_row - 1, "last": count - positions, "in_row": in_row, "seen": seen[positions]},
    )


def _kernel(layer: Layer, window: Window, way: _Way, bits: WeightBits) -> Kernel | None:
    outputs = len(way.weight)
    numbers = doubled(layer, way.weight) if outputs > 1 else None
    if numbers is None:
        return None
    stream = two_channel_stream(numbers, bits)
    limits = int8_limits(window.activation, layer.outputs[0].quantization)
    two = TwoChannels(fours_of(stream, bits), way.stride, outputs, *limits, way.turn, bits)
    if not two.fits:
        return None
    rows, columns, channels = window.image
    words: dict[str, object] = {
        **way.words,
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "outputs": outputs,
        "out_columns": window.size[1],
        "positions": way.positions,
        "pitch": way.pitch,
        "row_stride": window.stride[0],
        "column_stride": window.stride[1],
        "row_step": window.dilation[0],
        "column_step": window.dilation[1],
        "above": window.padding[0][0],
        "left": window.padding[1][0],
        "kernel_rows": window.kernel[0],
        "kernel_columns": window.kernel[1],
        "zero": layer.inputs[0].quantization.zero_point,
    }
    groups = way.positions // way.turn
    body = code(
        BODY,
        place=code(way.place, **words),
        widen=code(way.widen, **words),
        odd=f"{layer.prefix}_two(stream, wide, out + {outputs - 2}, {groups});" if outputs % 2 else "",
        p=layer.prefix,
        stretches=way.stretches,
        pairs=outputs // 2,
        groups=groups,
        words=stream.shape[1],
    )
    return Kernel(
        body,
        constants={"stream": stream},
        scratch=Scratch("wide", way.numbers + SLACK, 16),
        headers=two.headers,
        condition="HAR_PAIRS",
        functions=two.function(f"{layer.prefix}_two"),
    )
