"""``conv1d`` in C. A position of the kernel without dilation sees consecutive bytes, so nothing is gathered."""

from __future__ import annotations

import numpy as np

from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.layer import Kernel, Layer, code, folded_bias, rescaling
from firmware_export.targets.c.ops.padding import seen

ONE_RUN = """
for (int i = 0; i < @run@; i++) {
    sum += seen[i] * w[i];
}
"""
RUN_A_TAP = """
for (int k = 0; k < @kernel@; k++) {
    for (int i = 0; i < @depth@; i++) {
        sum += seen[@dilated@ * k + i] * w[@depth@ * k + i];
    }
}
"""
BODY = """
for (int t = 0; t < @steps@; t++) {
    const int8_t *window = @rows@;
    const int8_t *w = @p@_weight;
    for (int o = 0; o < @outputs@; o++) {
        const int8_t *seen = window@group@;
        int32_t sum = @p@_bias[o];
        @sum@
        *y++ = har_to_int8(har_rescale(sum, @p@_multiplier[o], @p@_shift[o]), @zero@, @low@, @high@);
        w += @row@;
    }
}
"""


def emit_conv1d(layer: Layer) -> Kernel:
    """Sums of products at every position, weights ``[C_out, K, C_in / groups]`` as they are."""
    attrs, (x, weight, _) = layer.attrs(Conv1d), layer.inputs
    output = layer.outputs[0].quantization
    outputs, kernel, depth = weight.shape
    data = layer.constant(1)
    channels = x.shape[2]
    run = kernel * depth if (attrs.dilation == 1 and attrs.groups == 1) else 0
    span = (kernel - 1) * attrs.dilation + 1
    rows = seen(x.shape, attrs.padding, f"{attrs.stride} * t", span, x.quantization.zero_point)
    low, high = int8_limits(attrs.activation, output)
    per_group = outputs // attrs.groups
    body = code(
        BODY,
        sum=code(ONE_RUN if run else RUN_A_TAP, run=run, kernel=kernel, depth=depth, dilated=attrs.dilation * channels),
        rows=rows.rows,
        p=layer.prefix,
        steps=layer.outputs[0].shape[1],
        outputs=outputs,
        group="" if attrs.groups == 1 else f" + {depth} * (o / {per_group})",
        row=kernel * depth,
        zero=output.zero_point,
        low=low,
        high=high,
    )
    factors = x.quantization.scale * np.asarray(weight.quantization.scales) / output.scale
    return Kernel(
        body,
        constants={
            "weight": data,
            "bias": folded_bias(layer, layer.constant(2), data.reshape(outputs, -1), x.quantization.zero_point),
            **rescaling(factors),
        },
        scratch=rows.scratch,
        headers=rows.headers,
    )
