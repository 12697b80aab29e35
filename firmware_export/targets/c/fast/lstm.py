"""``lstm`` for speed: all gates of a step first, four at a time with two weights a product, then the states.

Rounding twice, as TFLite Micro does, is one ``smmulr`` and a shift of sums that are doubled (``doubled``); where a
gate's factor is 1 or more, its weights are larger by that power of two and the shift is none. Weights that stay int8
(``har_packed.h``) leave doubling to the sum. The hidden state before the first step is the zero point, whose sum with
the folded bias is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firmware_export.affine import fixed_point
from firmware_export.ops.lstm import BIASES, GATE_FRACTION, INPUT_WEIGHTS, NONLINEAR_SCALE, RECURRENT_WEIGHTS
from firmware_export.targets.c.fast.doubled import WeightBits, filled_up, packed, words
from firmware_export.targets.c.fast.two_channels import quoted
from firmware_export.targets.c.layer import INT32_MAX, Kernel, Layer, Scratch, code, folded_bias

LARGEST_EXPONENT = 30
LIFT = 256  # beside an exponent
LARGEST_LIFT = 7  # bits; int8 weights stay inside of int16
LARGEST_SPAN = 2000  # int16 of input and hidden state: immediate offsets reach no further
UNROLLED = 16  # blocks of four numbers
BODY = """
int16_t *hidden = wide + @fed@;
int16_t *gates = hidden + @kept@;
int16_t *cells = gates + @all_gates@;
memset(wide, 0, @count@ * sizeof *wide);
for (int u = 0; u < @units@; u++) {
    hidden[u] = @zero@;
}
for (int t = 0; t < @steps@; t++) {
    const int16_t *gate = gates; /* i, f, c, o */
    har_widen(x + @inputs@ * t, wide, @inputs@);
    @p@_gates(@p@_stream, wide, gates);
    for (int u = 0; u < @units@; u++) {
        int32_t kept = har_to_int16(har_scaled(2 * har_sigmoid(gate[1]) * cells[u], @keep@));
        kept += har_to_int16(har_scaled(2 * har_sigmoid(gate[0]) * har_tanh(gate[2], @gate_fraction@), @admit@));
        cells[u] = (int16_t)har_to_int16(kept);
        kept = har_scaled(2 * har_tanh(cells[u], @cell_fraction@) * har_sigmoid(gate[3]), @emit@);
        hidden[u] = har_to_int8(kept, @zero@, -128, 127);
        *y++ = (int8_t)hidden[u];
        gate += 4;
    }
}
"""
FUNCTION = """
#if HAR_DSP
/* The gates of a step: stream, wide and gates as of @portable@. */
HAR_NAKED static void @name@(HAR_UNUSED const int32_t *stream, HAR_UNUSED const int16_t *wide,
    HAR_UNUSED int16_t *gates)
{
    __asm__ volatile(
        @text@
    );
}
#else
static void @name@(const int32_t *stream, const int16_t *wide, int16_t *gates)
{
    @portable@(stream, wide, gates, @units@, @fed@, @kept@);
}
#endif
"""
ENTRY = """
push {r4-r11, lr}
movw r3, #@units@
push {r3}
add r0, r0, #64
1:
"""
FOUR_PACKED = """
ldrd r8, r9, [r1], #8
ldmia r0!, {r3, r11}
sxtb16 r10, r3, ror #8
sxtb16 r3, r3
sxtb16 r12, r11, ror #8
sxtb16 r11, r11
smlad r4, r3, r8, r4
smlad r4, r10, r9, r4
smlad r5, r11, r8, r5
smlad r5, r12, r9, r5
ldmia r0!, {r3, r11}
sxtb16 r10, r3, ror #8
sxtb16 r3, r3
sxtb16 r12, r11, ror #8
sxtb16 r11, r11
smlad r6, r3, r8, r6
smlad r6, r10, r9, r6
smlad r7, r11, r8, r7
smlad r7, r12, r9, r7
"""
FOUR_NUMBERS = """
ldrd r8, r9, [r1], #8
ldmia r0!, {r3, r10, r11, r12}
smlad r4, r3, r8, r4
smlad r4, r10, r9, r4
smlad r5, r11, r8, r5
smlad r5, r12, r9, r5
ldmia r0!, {r3, r10, r11, r12}
smlad r6, r3, r8, r6
smlad r6, r10, r9, r6
smlad r7, r11, r8, r7
smlad r7, r12, r9, r7
"""
PRODUCT = """
movw r3, #@low@
movt r3, #@high@
smmulr @sum@, @sum@, r3
"""
DIVIDE = """
add @sum@, @sum@, @sum@, asr #31
add @sum@, @sum@, #@half@
asr @sum@, @sum@, #@exponent@
"""
KEEP = """
pkhbt r4, r4, r5, lsl #16
pkhbt r6, r6, r7, lsl #16
strd r4, r6, [r2]
"""
EXIT = """
pkhbt r4, r4, r5, lsl #16
pkhbt r6, r6, r7, lsl #16
ldrd r8, r9, [r2]
qadd16 r4, r4, r8
qadd16 r6, r6, r9
strd r4, r6, [r2], #8
sub r1, r1, #@span@
ldr r3, [sp]
subs r3, r3, #1
str r3, [sp]
bne.w 1b
add sp, #4
pop {r4-r11, pc}
"""


def fast_lstm(layer: Layer, bits: WeightBits = WeightBits.INT16) -> Kernel | None:
    """One stream of factors, biases and weights; None where numbers do not fit."""
    x, (output, cell) = layer.inputs[0], layer.outputs
    _, steps, units = output.shape
    inputs = x.shape[2]
    parts = []
    for source, operands, biases in ((x, INPUT_WEIGHTS, BIASES), (output, RECURRENT_WEIGHTS, None)):
        weights = [layer.constant(i) for i in range(operands.start, operands.stop)]
        zeros = [np.zeros(units, np.int32)] * 4
        added = zeros if biases is None else [layer.constant(i) for i in range(biases.start, biases.stop)]
        factors = [
            source.quantization.scale * layer.inputs[i].quantization.scale * 2.0**GATE_FRACTION
            for i in range(operands.start, operands.stop)
        ]
        parts.append(_part(layer, weights, added, factors, source.quantization.zero_point, bits=bits))
    admit = NONLINEAR_SCALE * NONLINEAR_SCALE / cell.quantization.scale
    emit = NONLINEAR_SCALE * NONLINEAR_SCALE / output.quantization.scale
    states = [_factor(real) for real in (NONLINEAR_SCALE, admit, emit)]
    if parts[0] is None or parts[1] is None or None in states:
        return None
    (fed_factors, from_input, fed), (kept_factors, from_hidden, kept) = parts[0], parts[1]
    if fed + kept > LARGEST_SPAN:
        return None
    stream = np.concatenate(
        [np.ravel([fed_factors, kept_factors]), np.concatenate([from_input, from_hidden], axis=1).ravel()]
    ).astype(np.int32)
    count = fed + kept + 5 * units
    int16 = bits is WeightBits.INT16
    portable = "har_lstm_gates" if int16 else "har_lstm_gates_packed"
    words_of: dict[str, object] = {"units": units, "fed": fed, "kept": kept, "portable": portable}
    body = code(
        BODY,
        p=layer.prefix,
        **words_of,
        all_gates=4 * units,
        count=count,
        steps=steps,
        inputs=inputs,
        zero=output.quantization.zero_point,
        keep=states[0],
        admit=states[1],
        emit=states[2],
        gate_fraction=GATE_FRACTION,
        cell_fraction=-int(np.log2(cell.quantization.scale)),
    )
    text = quoted(_assembly(units, [(fed, fed_factors), (kept, kept_factors)], bits))
    return Kernel(
        body,
        constants={"stream": stream},
        scratch=Scratch("wide", count, 16),
        headers=(
            "har_dsp.h",
            "har_lstm.h",
            "har_lstm_dsp.h",
            *(() if int16 else ("har_lstm_packed.h", "har_packed.h")),
        ),
        functions=code(FUNCTION, name=f"{layer.prefix}_gates", text=text, **words_of),
    )


def _factor(real: float) -> str | None:
    """Multiplier and exponent as arguments of ``har_scaled``."""
    multiplier, shift = fixed_point(real)
    return f"{multiplier}, {-shift}" if 0 <= -shift <= LARGEST_EXPONENT else None


def _part(
    layer: Layer,
    weights: Sequence[NDArray[np.int8]],
    biases: Sequence[NDArray[np.int32]],
    factors: Sequence[float],
    zero_point: int,
    *,
    bits: WeightBits,
) -> tuple[list[tuple[int, int]], NDArray[np.int64], int] | None:
    """What the gates get from the input, or from the hidden state.

    Returns:
        Multiplier and exponent of each gate (where sums are doubled last, ``LIFT`` times by how many bits added to it),
        its words ``[H, N]``, and how many numbers a unit sees, a multiple of
        four. None where they do not fit.
    """
    found, sums, rows = [], [], []
    for weight, bias, real in zip(weights, biases, factors, strict=True):
        multiplier, shift = fixed_point(real)
        lift, exponent = max(shift, 0) + 1, max(-shift, 0)
        folded = folded_bias(layer, bias, weight, zero_point).astype(np.int64)
        reach = (np.abs(folded) + 128 * np.abs(weight.astype(np.int64)).sum(axis=1)).max()
        if lift > LARGEST_LIFT or exponent > LARGEST_EXPONENT or int(reach) << lift > INT32_MAX:
            return None
        int16 = bits is WeightBits.INT16
        found.append((multiplier, exponent + (0 if int16 else LIFT * lift)))
        sums.append(folded << lift if int16 else folded)
        rows.append(filled_up(weight.astype(np.int16) << (lift if int16 else 0), 4))
    units, numbers = rows[0].shape
    stacked = np.stack(rows, axis=1)
    of_blocks = words(stacked) if bits is WeightBits.INT16 else packed(stacked.astype(np.int8))
    pairs = of_blocks.reshape(units, 4, numbers // 4, -1)  # unit, gate, block, word
    blocks = pairs.transpose(0, 2, 1, 3).reshape(units, -1)
    return found, np.concatenate([np.stack(sums, axis=1), blocks], axis=1), numbers


def _assembly(units: int, parts: Sequence[tuple[int, Sequence[tuple[int, int]]]], bits: WeightBits) -> list[str]:
    four = code(FOUR_NUMBERS if bits is WeightBits.INT16 else FOUR_PACKED)
    lines = [code(ENTRY, units=units)]
    span = 0
    for index, (numbers, factors) in enumerate(parts):
        span += 2 * numbers
        lines.append("ldmia r0!, {r4-r7}")
        turns, rest = divmod(numbers // 4, UNROLLED)
        if turns > 1:
            lines += [f"movw lr, #{turns}", "2:", f".rept {UNROLLED}", four, ".endr"]
            lines += ["subs lr, lr, #1", "bne.w 2b"]
        else:
            rest += UNROLLED * turns
        if rest:
            lines += [f".rept {rest}", four, ".endr"]
        for gate, (multiplier, both) in enumerate(factors):
            lift, exponent = divmod(both, LIFT)
            register = f"r{4 + gate}"
            if lift:
                lines.append(f"lsl {register}, {register}, #{lift}")
            lines.append(code(PRODUCT, sum=register, low=multiplier & 0xFFFF, high=multiplier >> 16))
            if exponent:
                lines.append(code(DIVIDE, sum=register, half=1 << (exponent - 1), exponent=exponent))
            lines.append(f"ssat {register}, #16, {register}")
        if index == 0:
            lines.append(code(KEEP))
    return [*lines, code(EXIT, span=span)]
