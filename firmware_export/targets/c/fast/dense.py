"""``dense`` for speed: x widened to int16 once, then two outputs at a time."""

from __future__ import annotations

from firmware_export.ops.dense import Dense
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.fast.doubled import WeightBits, doubled, fours_of, two_channel_stream
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code

BODY = """
const int32_t *w = @p@_stream;
har_widen(x, wide, @inputs@);
@zeros@for (int o = 0; o < @pairs@; o++) {
    int8_t *out = y + (o < @whole@ ? 2 * o : @last@);
    const int16_t *v = wide;
    int32_t a = w[0], b = w[1];
    w += 2;
    for (int i = 0; i < @fours@; i++) {
        const uint32_t first = har_word(v), second = har_word(v + 2);
        @products@
        v += 4;
    }
    out[0] = har_requantize(@doubled@a, w[0], w[1], w[2], @low@, @high@);
    out[1] = har_requantize(@doubled@b, w[3], w[4], w[5], @low@, @high@);
    w += 6;
}
"""
PRODUCTS = """
a = har_smlad((uint32_t)w[1], second, har_smlad((uint32_t)w[0], first, a));
b = har_smlad((uint32_t)w[3], second, har_smlad((uint32_t)w[2], first, b));
w += 4;
"""
PACKED_PRODUCTS = """
a = har_four_packed((uint32_t)w[0], first, second, a);
b = har_four_packed((uint32_t)w[1], first, second, b);
w += 2;
"""


def fast_dense(layer: Layer, bits: WeightBits = WeightBits.INT16) -> Kernel | None:
    """One stream of biases, weights and factors a pair of outputs; None for a single output."""
    data = layer.constant(1)
    outputs, inputs = data.shape
    numbers = doubled(layer, data) if outputs > 1 else None
    if numbers is None:
        return None
    stream = two_channel_stream(numbers, bits)
    int16 = bits is WeightBits.INT16
    low, high = int8_limits(layer.attrs(Dense).activation, layer.outputs[0].quantization)
    fours = fours_of(stream, bits)
    rest = 4 * fours - inputs
    zeros = f"memset(wide + {inputs}, 0, {2 * rest});\n" if rest else ""
    body = code(
        BODY,
        p=layer.prefix,
        inputs=inputs,
        zeros=zeros,
        pairs=len(stream),
        whole=outputs // 2,
        last=outputs - 2,
        fours=fours,
        products=code(PRODUCTS if int16 else PACKED_PRODUCTS),
        doubled="" if int16 else "2 * ",
        low=low,
        high=high,
    )
    return Kernel(
        body,
        constants={"stream": stream},
        scratch=Scratch("wide", 4 * fours, 16),
        headers=("har_dsp.h",) if int16 else ("har_dsp.h", "har_packed.h"),
        condition="HAR_PAIRS",
    )
