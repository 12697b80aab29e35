"""``conv1d`` for speed on cores without the DSP extension: two channels at two positions a turn, weights int8.

Where registers are few, that is the plain kernel, with the same weights.
"""

from __future__ import annotations

from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.layer import Kernel, Layer, code
from firmware_export.targets.c.ops.conv1d import emit_conv1d
from firmware_export.targets.c.ops.padding import seen

BODY = """
#if HAR_FEW_REGISTERS
@plain@
#else
for (int s = 0; s < @turns@; s++) {
    const int t = s < @turns@ - 1 ? 2 * s : @last@;
    const int8_t *window = @rows@;
    for (int pair = 0; pair < @pairs@; pair++) {
        const int o = pair < @whole@ ? 2 * pair : @odd@;
        const int32_t *bias = @p@_bias + o;
        int32_t sums[4] = {bias[0], bias[1], bias[0], bias[1]};
        har_two_by_two(window, @stride@, @p@_weight + @run@ * o, @run@, sums);
        for (int i = 0; i < 4; i++) {
            const int c = o + i % 2;
            y[@outputs@ * (t + i / 2) + c] =
                har_to_int8(har_rescale(sums[i], @p@_multiplier[c], @p@_shift[c]), @zero@, @low@, @high@);
        }
    }
}
#endif
"""


def two_by_two_conv1d(layer: Layer) -> Kernel:
    """The plain kernel's numbers; the plain kernel itself for dilated, grouped or tiny convolutions."""
    attrs, x, output = layer.attrs(Conv1d), layer.inputs[0], layer.outputs[0]
    steps, outputs = output.shape[1:]
    plain = emit_conv1d(layer)
    if attrs.groups > 1 or (attrs.dilation > 1 and attrs.kernel > 1) or outputs < 2 or steps < 2:
        return plain
    rows = seen(x.shape, attrs.padding, f"{attrs.stride} * t", attrs.kernel + attrs.stride, x.quantization.zero_point)
    low, high = int8_limits(attrs.activation, output.quantization)
    channels = x.shape[2]
    body = code(
        BODY,
        plain=plain.body,
        turns=-(-steps // 2),
        last=steps - 2,
        rows=rows.rows,
        pairs=-(-outputs // 2),
        whole=outputs // 2,
        odd=outputs - 2,
        p=layer.prefix,
        stride=attrs.stride * channels,
        run=attrs.kernel * channels,
        outputs=outputs,
        zero=output.quantization.zero_point,
        low=low,
        high=high,
    )
    return Kernel(body, constants=plain.constants, scratch=rows.scratch, headers=("har_two_by_two.h", *rows.headers))
