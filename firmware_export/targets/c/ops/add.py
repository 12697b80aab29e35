"""``add`` and ``add_constant`` in C: both sides lifted by 2^20 and brought to twice the larger scale."""

from __future__ import annotations

import numpy as np

from firmware_export.affine import fixed_point
from firmware_export.graph import Value
from firmware_export.ops.add import LIFT, Add
from firmware_export.ops.add_constant import AddConstant
from firmware_export.ops.op import FusedActivation, int8_limits
from firmware_export.targets.c.layer import Kernel, Layer, code

BODY = """
for (int i = 0; i < @size@; i++) {
    const int32_t left = har_rescale((a[i] - @zero_a@) * @lift@, @factor_a@);
    const int32_t right = har_rescale((@b@[i] - @zero_b@) * @lift@, @factor_b@);
    y[i] = har_to_int8(har_rescale(left + right, @factor_y@), @zero@, @low@, @high@);
}
"""


def emit_add(layer: Layer) -> Kernel:
    """Two activations."""
    return Kernel(_sum(layer, "b", layer.attrs(Add).activation), reads=("a", "b"))


def emit_add_constant(layer: Layer) -> Kernel:
    """An activation and a table."""
    body = _sum(layer, f"{layer.prefix}_table", layer.attrs(AddConstant).activation)
    return Kernel(body, reads=("a",), constants={"table": layer.constant(1)})


def _sum(layer: Layer, b_name: str, activation: FusedActivation) -> str:
    a, b = layer.inputs
    output = layer.outputs[0].quantization
    twice_larger = 2 * max(a.quantization.scale, b.quantization.scale)
    low, high = int8_limits(activation, output)
    return code(
        BODY,
        size=int(np.prod(layer.outputs[0].shape)),
        lift=1 << LIFT,
        b=b_name,
        zero_a=_subtracted(a),
        zero_b=_subtracted(b),
        factor_a=_factor(a.quantization.scale / twice_larger),
        factor_b=_factor(b.quantization.scale / twice_larger),
        factor_y=_factor(twice_larger / ((1 << LIFT) * output.scale)),
        zero=output.zero_point,
        low=low,
        high=high,
    )


def _subtracted(value: Value) -> str:
    return f"({value.quantization.zero_point})"


def _factor(real: float) -> str:
    multiplier, shift = fixed_point(real)
    return f"{multiplier}, {shift}"
