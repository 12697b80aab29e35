"""``depthwise_conv1d`` in C: each channel over time on its own."""

from __future__ import annotations

import numpy as np

from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.layer import Kernel, Layer, code, folded_bias, rescaling
from firmware_export.targets.c.ops.padding import seen

BODY = """
for (int t = 0; t < @steps@; t++) {
    const int8_t *window = @rows@;
    for (int o = 0; o < @outputs@; o++) {
        const int8_t *seen = window + @channel@;
        int32_t sum = @p@_bias[o];
        for (int k = 0; k < @kernel@; k++) {
            sum += seen[@dilated@ * k] * @p@_weight[@outputs@ * k + o];
        }
        *y++ = har_to_int8(har_rescale(sum, @p@_multiplier[o], @p@_shift[o]), @zero@, @low@, @high@);
    }
}
"""


def emit_depthwise_conv1d(layer: Layer) -> Kernel:
    """Weights ``[K, C * multiplier]`` as they are."""
    attrs, (x, weight, _) = layer.attrs(DepthwiseConv1d), layer.inputs
    output, data = layer.outputs[0].quantization, layer.constant(1)
    kernel, outputs = data.shape
    channels = x.shape[2]
    span = (kernel - 1) * attrs.dilation + 1
    rows = seen(x.shape, attrs.padding, f"{attrs.stride} * t", span, x.quantization.zero_point)
    low, high = int8_limits(attrs.activation, output)
    body = code(
        BODY,
        rows=rows.rows,
        p=layer.prefix,
        steps=layer.outputs[0].shape[1],
        outputs=outputs,
        kernel=kernel,
        channel="o" if attrs.multiplier == 1 else f"o / {attrs.multiplier}",
        dilated=attrs.dilation * channels,
        zero=output.zero_point,
        low=low,
        high=high,
    )
    factors = x.quantization.scale * np.asarray(weight.quantization.scales) / output.scale
    return Kernel(
        body,
        constants={
            "weight": data,
            "bias": folded_bias(layer, layer.constant(2), data.T, x.quantization.zero_point),
            **rescaling(factors),
        },
        scratch=rows.scratch,
        headers=rows.headers,
    )
