"""``conv1d`` of three or five taps at stride 1 by ``winograd``: three tiles, six positions, at a time.

Their rows are transformed once; then every pair of output channels takes them. The last tiles may overlap those before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.fast.doubled import doubled, in_pairs, words
from firmware_export.targets.c.fast.tiles import TILES_TOGETHER, TwoChannelsOfTiles
from firmware_export.targets.c.fast.winograd import TILES, Tile, transformed
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code
from firmware_export.targets.c.ops.padding import seen

POSITIONS = 2 * TILES_TOGETHER
# Cycles of Cortex-M4, measured: of four products of two channels at three positions or tiles; of what else two channels
# at three positions take; by taps, of what they take at three tiles, and of transforming four channels of three tiles.
STEP, AT_POSITIONS = 26, 100
AT_TILES, TRANSFORM = {3: 228, 5: 314}, {3: 126, 5: 267}
BODY = """
@rows@for (int s = 0; s < @turns@; s++) {
    const int t = s < @turns@ - 1 ? @positions@ * s : @last@;
    const int32_t *stream = @p@_stream;
    har_tiles_of_@taps@(@seen@, @channels@, wide);
    for (int o = 0; o < @pairs@; o++) {
        @p@_tiles(stream, wide, y + @outputs@ * t + 2 * o);
        stream += @words@;
    }
    @odd@
}
"""


def winograd_conv1d(layer: Layer) -> Kernel | None:
    """One stream of starting sums, transformed weights and factors a pair of channels; None where it does not pay."""
    attrs, x, output = layer.attrs(Conv1d), layer.inputs[0], layer.outputs[0]
    steps, outputs = output.shape[1:]
    channels = x.shape[2]
    tile = TILES.get(attrs.kernel)
    if tile is None or attrs.stride > 1 or attrs.dilation > 1 or attrs.groups > 1 or channels % 4:
        return None
    if outputs < 2 or steps < POSITIONS or not _pays(tile, steps, channels, outputs):
        return None
    stream = _stream(layer, tile)
    two = TwoChannelsOfTiles(tile, channels // 4, outputs, *int8_limits(attrs.activation, output.quantization))
    if stream is None or not two.fits:
        return None
    count = len(tile.second) * TILES_TOGETHER * channels
    window = seen(x.shape, attrs.padding, "t", POSITIONS + tile.taps - 1, x.quantization.zero_point)
    rows = f"int8_t *rows = (int8_t *)(wide + {count});\n" if window.scratch else ""
    body = code(
        BODY,
        rows=rows,
        turns=-(-steps // POSITIONS),
        positions=POSITIONS,
        last=steps - POSITIONS,
        p=layer.prefix,
        taps=tile.taps,
        seen=window.rows,
        channels=channels,
        pairs=outputs // 2,
        outputs=outputs,
        words=stream.shape[1],
        odd=f"{layer.prefix}_tiles(stream, wide, y + {outputs} * t + {outputs - 2});" if outputs % 2 else "",
    )
    return Kernel(
        body,
        constants={"stream": stream},
        scratch=Scratch("wide", count + (window.scratch.count // 2 if window.scratch else 0), 16),
        headers=("har_dsp.h", "har_winograd.h", *window.headers),
        condition="HAR_PAIRS",
        functions=two.function(f"{layer.prefix}_tiles"),
    )


def _pays(tile: Tile, steps: int, channels: int, outputs: int) -> bool:
    """Whether it takes fewer cycles than the plain sums in pairs, whichever their memory is."""
    fours, turns, pairs = channels // 4, -(-steps // POSITIONS), -(-outputs // 2)
    tiled = pairs * (len(tile.second) * fours * STEP + AT_TILES[tile.taps]) + fours * TRANSFORM[tile.taps]
    direct = pairs * (tile.taps * fours * STEP + AT_POSITIONS)
    return turns * tiled < -(-steps // TILES_TOGETHER) * direct


def _stream(layer: Layer, tile: Tile) -> NDArray[np.int32] | None:
    """Return ``[pairs, words]``: what ``har_two_channels_of_tiles`` reads, one row a pair."""
    weight = layer.constant(1)
    numbers = doubled(layer, weight.reshape(len(weight), -1))
    if numbers is None:
        return None
    bias = numbers.bias // 2
    found = transformed(tile, weight, bias)
    if found is None:
        return None
    both = in_pairs(len(weight))
    points, channels = found.shape[1:]
    order = found.reshape(-1, points, channels // 4, 4)[..., [0, 2, 1, 3]]
    mixed = words(order[both].transpose(0, 2, 3, 1, 4)).reshape(len(both), -1)
    return np.concatenate(
        [tile.denominator * bias[both], mixed, numbers.last[both].reshape(len(both), -1)], axis=1, dtype=np.int32
    )
