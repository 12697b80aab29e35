"""``relu`` in C: a clamp of the integers."""

from __future__ import annotations

import numpy as np

from firmware_export.ops.op import int8_limits
from firmware_export.ops.relu import Relu
from firmware_export.targets.c.layer import Kernel, Layer, code

BODY = """
for (int i = 0; i < @size@; i++) {
    y[i] = (int8_t)har_clamp(x[i], @low@, @high@);
}
"""


def emit_relu(layer: Layer) -> Kernel:
    """Input and output share one scale."""
    low, high = int8_limits(layer.attrs(Relu).activation, layer.outputs[0].quantization)
    return Kernel(code(BODY, size=int(np.prod(layer.outputs[0].shape)), low=low, high=high))
