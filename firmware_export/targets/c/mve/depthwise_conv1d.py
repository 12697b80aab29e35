"""``depthwise_conv1d`` with MVE: 16 channels at a time, their products in int16, two taps before they are widened."""

from __future__ import annotations

import numpy as np

from firmware_export.affine import INT8_MIN
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.layer import Kernel, Layer, code
from firmware_export.targets.c.mve.rows import HEADERS, LANES, rows_of
from firmware_export.targets.c.ops.padding import padded

# Channels in the order that products come in: even and odd bytes, of these even and odd halves.
ORDER = np.array([half + byte + 4 * i for byte in (0, 1) for half in (0, 2) for i in range(4)])
BODY = """
@fill@for (int t = 0; t < @steps@; t++) {
    const int8_t *seen = @x@ + @stride@ * t;
    @groups@
    @rest@
    y += @channels@;
}
"""
GROUPS = """
for (int g = 0; g < @whole@; g++) {
    @call@
}
"""
CALL = """
har_mve_depthwise(seen + @lanes@ * @group@, @p@_weight + @taps@ * @group@, @p@_last + @numbers@ * @group@,
                  y + @lanes@ * @group@, @count@, @kernel@, @dilated@, @zero@, @low@, @high@);
"""


def mve_depthwise_conv1d(layer: Layer) -> Kernel | None:
    """None with several outputs a channel, and where two products might not fit into int16."""
    attrs, x, output = layer.attrs(DepthwiseConv1d), layer.inputs[0], layer.outputs[0]
    data = layer.constant(1)
    rows = rows_of(layer, data.T)
    if rows is None or attrs.multiplier > 1 or data.min() == INT8_MIN:
        return None
    kernel, channels = data.shape
    whole, count = divmod(channels, LANES)
    rows = rows.filled_up(LANES)
    name, fill, scratch = padded(x.shape, attrs.padding, x.quantization.zero_point)
    low, high = int8_limits(attrs.activation, output.quantization)
    words = {
        "p": layer.prefix,
        "lanes": LANES,
        "taps": LANES * kernel,
        "numbers": 3 * LANES,
        "kernel": kernel,
        "dilated": attrs.dilation * channels,
        "zero": output.quantization.zero_point,
        "low": low,
        "high": high,
    }
    body = code(
        BODY,
        fill=fill,
        x=name,
        steps=output.shape[1],
        stride=attrs.stride * channels,
        channels=channels,
        groups=code(GROUPS, whole=whole, call=code(CALL, group="g", count=LANES, **words)) if whole else "",
        rest=code(CALL, group=whole, count=count, **words) if count else "",
    )
    by_group = rows.weight.reshape(-1, LANES, kernel).swapaxes(1, 2)
    last = rows.last.reshape(-1, LANES, 3)[:, ORDER].swapaxes(1, 2)
    return Kernel(body, constants={"weight": by_group, "last": last}, scratch=scratch, headers=HEADERS)
