"""``conv2d`` and ``depthwise_conv2d`` in C. A row of the kernel without dilation sees consecutive bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.ops.conv2d import Conv2d
from firmware_export.ops.depthwise_conv2d import DepthwiseConv2d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.layer import Kernel, Layer, code, folded_bias, rescaling
from firmware_export.targets.c.ops.padding import band

BODY = """
for (int r = 0; r < @rows@; r++) {
    const int8_t *band = @band@;
    for (int t = 0; t < @columns@; t++) {
        @before@for (int o = 0; o < @outputs@; o++) {
            const int8_t *seen = band + @column_stride@ * t@channel@;
            int32_t sum = @p@_bias[o];
            for (int i = 0; i < @kernel_rows@; i++) {
                for (int j = 0; j < @kernel_columns@; j++) {
                    @products@
                }
            }
            *y++ = har_to_int8(har_rescale(sum, @p@_multiplier[o], @p@_shift[o]), @zero@, @low@, @high@);
        }
    }
}
"""
DENSE = """
for (int c = 0; c < @depth@; c++) {
    sum += seen[@row@ * i + @column@ * j + c] * *w++;
}
"""
DEPTHWISE = """
sum += seen[@row@ * i + @column@ * j] * @p@_weight[@outputs@ * (@kernel_columns@ * i + j) + o];
"""


def emit_conv2d(layer: Layer) -> Kernel:
    """Weights ``[C_out, K_h, K_w, C_in]`` as they are."""
    weight = layer.constant(1)
    attrs = layer.attrs(Conv2d)
    return _convolution(
        layer,
        attrs,
        weight.reshape(len(weight), -1),
        products=DENSE,
        before=f"const int8_t *w = {layer.prefix}_weight;\n",
    )


def emit_depthwise_conv2d(layer: Layer) -> Kernel:
    """Weights ``[K_h, K_w, C * multiplier]`` as they are."""
    attrs = layer.attrs(DepthwiseConv2d)
    weight = layer.constant(1)
    channel = " + o" if attrs.multiplier == 1 else f" + o / {attrs.multiplier}"
    return _convolution(layer, attrs, weight.reshape(-1, weight.shape[2]).T, products=DEPTHWISE, channel=channel)


def _convolution(
    layer: Layer,
    attrs: Conv2d | DepthwiseConv2d,
    rows: NDArray[Any],
    *,
    products: str,
    before: str = "",
    channel: str = "",
) -> Kernel:
    """``rows`` is the weight as ``[C_out, products]``."""
    x, output = layer.inputs[0], layer.outputs[0]
    channels = x.shape[3]
    zero = x.quantization.zero_point
    seen, row = band(
        x.shape, attrs.padding, attrs.kernel[0], stride=attrs.stride[0], dilation=attrs.dilation[0], value=zero
    )
    low, high = int8_limits(attrs.activation, output.quantization)
    shared = {"p": layer.prefix, "outputs": len(rows), "kernel_columns": attrs.kernel[1]}
    inner = code(products, depth=channels, row=row, column=channels * attrs.dilation[1], **shared)
    body = code(
        BODY,
        products=inner,
        before=before,
        band=seen.rows,
        rows=output.shape[1],
        columns=output.shape[2],
        column_stride=channels * attrs.stride[1],
        channel=channel,
        kernel_rows=attrs.kernel[0],
        zero=output.quantization.zero_point,
        low=low,
        high=high,
        **shared,
    )
    factors = x.quantization.scale * np.asarray(layer.inputs[1].quantization.scales) / output.quantization.scale
    return Kernel(
        body,
        constants={
            "weight": layer.constant(1),
            "bias": folded_bias(layer, layer.constant(2), rows, x.quantization.zero_point),
            **rescaling(factors),
        },
        scratch=seen.scratch,
        headers=seen.headers,
    )
