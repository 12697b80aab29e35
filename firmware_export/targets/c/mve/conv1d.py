"""``conv1d`` with MVE: two channels at four positions a turn, 16 products a step.

A position of an undilated kernel sees consecutive bytes, so nothing is gathered. Where channels are a multiple of 16
and positions follow each other, a tap's vectors of x are the last tap's moved by one position: three of four are there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.layer import Kernel, Layer, code
from firmware_export.targets.c.mve.dense import row_call, row_constants
from firmware_export.targets.c.mve.rows import HEADERS, LANES, rows_of, steps_of
from firmware_export.targets.c.mve.two_by_four import POSITIONS, TwoByFour
from firmware_export.targets.c.ops.padding import padded

PAIRS = """
@fill@const int8_t *w = @p@_weight;
for (int o = 0; o < @pairs@; o++) {
    int8_t *out = y + (o < @whole@ ? 2 * o : @odd@);
    @p@_two(w, @p@_last + 6 * o, @x@, out, @groups@);
    @rest@
    w += @bytes@;
}
"""
ROWS = """
@fill@for (int t = 0; t < @steps@; t++) {
    @call@
}
"""


def mve_conv1d(layer: Layer) -> Kernel | None:
    """Pairs of channels; a few positions are a dense layer each. None for dilated and grouped convolutions."""
    attrs, x, output = layer.attrs(Conv1d), layer.inputs[0], layer.outputs[0]
    if attrs.groups > 1 or (attrs.dilation > 1 and attrs.kernel > 1):
        return None
    steps, outputs = output.shape[1:]
    channels = x.shape[2]
    rows = rows_of(layer, layer.constant(1).reshape(outputs, -1))
    if rows is None:
        return None
    name, fill, scratch = padded(x.shape, attrs.padding, x.quantization.zero_point)
    limits = (output.quantization.zero_point, *int8_limits(attrs.activation, output.quantization))
    stride = attrs.stride * channels
    slides = attrs.kernel > 1 and attrs.stride == 1 and channels % LANES == 0
    two = TwoByFour(rows.weight.shape[1], attrs.kernel if slides else 1, channels, stride, outputs, *limits)
    if steps < POSITIONS or outputs < 2 or not two.fits:
        call = row_call(layer.prefix, f"{name} + {stride} * t", f"y + {outputs} * t", rows, limits)
        body = code(ROWS, fill=fill, steps=steps, call=call)
        return Kernel(body, constants=row_constants(rows), scratch=scratch, headers=HEADERS)
    pairs = rows.pairs()
    weight = _by_blocks(pairs.weight, attrs.kernel, channels) if slides else pairs.weight
    last = steps - POSITIONS
    rest = f"{layer.prefix}_two(w, {layer.prefix}_last + 6 * o, {name} + {stride * last}, out + {outputs * last}, 1);"
    body = code(
        PAIRS,
        fill=fill,
        p=layer.prefix,
        x=name,
        pairs=len(pairs.weight) // 2,
        whole=outputs // 2,
        odd=outputs - 2,
        groups=steps // POSITIONS,
        rest=rest if steps % POSITIONS else "",
        bytes=two.weight_bytes,
    )
    return Kernel(
        body,
        constants={"weight": steps_of(weight, 2), "last": pairs.last.reshape(-1, 2, 3).swapaxes(1, 2)},
        scratch=scratch,
        headers=HEADERS,
        functions=two.function(f"{layer.prefix}_two"),
    )


def _by_blocks(weight: NDArray[np.int8], kernel: int, channels: int) -> NDArray[np.int8]:
    """Products ``[C, taps, blocks, 16]`` in the order blocks, taps, 16."""
    return weight.reshape(len(weight), kernel, channels // LANES, LANES).swapaxes(1, 2).reshape(len(weight), -1)
