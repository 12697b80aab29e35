"""``dense`` in C: a sum of products for each output."""

from __future__ import annotations

import numpy as np

from firmware_export.ops.dense import Dense
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.layer import Kernel, Layer, code, folded_bias, rescaling

BODY = """
const int8_t *w = @p@_weight;
for (int o = 0; o < @outputs@; o++) {
    int32_t sum = @p@_bias[o];
    for (int i = 0; i < @inputs@; i++) {
        sum += x[i] * w[i];
    }
    y[o] = har_to_int8(har_rescale(sum, @p@_multiplier[o], @p@_shift[o]), @zero@, @low@, @high@);
    w += @inputs@;
}
"""


def emit_dense(layer: Layer) -> Kernel:
    """Weights ``[C_out, C_in]`` as they are."""
    x, weight, _ = layer.inputs
    output, data = layer.outputs[0].quantization, layer.constant(1)
    low, high = int8_limits(layer.attrs(Dense).activation, output)
    outputs, inputs = data.shape
    factors = x.quantization.scale * np.asarray(weight.quantization.scales) / output.scale
    return Kernel(
        code(BODY, p=layer.prefix, outputs=outputs, inputs=inputs, zero=output.zero_point, low=low, high=high),
        constants={
            "weight": data,
            "bias": folded_bias(layer, layer.constant(2), data, x.quantization.zero_point),
            **rescaling(factors),
        },
    )
