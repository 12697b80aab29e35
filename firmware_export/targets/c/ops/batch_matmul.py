"""``batch_matmul`` in C: both sides centred on their zero points."""

from __future__ import annotations

import numpy as np

from edgehar.errors import ExportError
from firmware_export.affine import fixed_point
from firmware_export.ops.batch_matmul import BatchMatmul
from firmware_export.targets.c.layer import INT32_MAX, Kernel, Layer, code

BODY = """
for (int n = 0; n < @batches@; n++) {
    for (int t = 0; t < @rows@; t++) {
        for (int s = 0; s < @columns@; s++) {
            int32_t sum = 0;
            for (int k = 0; k < @inner@; k++) {
                sum += (a[@inner@ * t + k] - (@zero_a@)) * (b[@b@] - (@zero_b@));
            }
            *y++ = har_to_int8(har_rescale(sum, @multiplier@, @shift@), @zero@, -128, 127);
        }
    }
    a += @size_a@;
    b += @size_b@;
}
"""


def emit_batch_matmul(layer: Layer) -> Kernel:
    """Rows of a times columns of b (rows, when it comes transposed)."""
    a, b = layer.inputs
    output = layer.outputs[0].quantization
    *batches, rows, columns = layer.outputs[0].shape
    inner = a.shape[-1]
    if inner * 255**2 > INT32_MAX:
        raise ExportError(
            f"target 'c': node {layer.node.name!r} (batch_matmul) sums {inner} products, expected at most "
            f"{INT32_MAX // 255**2} (int32)"
        )
    multiplier, shift = fixed_point(a.quantization.scale * b.quantization.scale / output.scale)
    body = code(
        BODY,
        batches=int(np.prod(batches)),
        size_a=rows * inner,
        size_b=columns * inner,
        rows=rows,
        columns=columns,
        inner=inner,
        b=f"{inner} * s + k" if layer.attrs(BatchMatmul).transpose_b else f"{columns} * k + s",
        zero_a=a.quantization.zero_point,
        zero_b=b.quantization.zero_point,
        multiplier=multiplier,
        shift=shift,
        zero=output.zero_point,
    )
    return Kernel(body, reads=("a", "b"))
