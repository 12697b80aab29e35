"""``lstm`` in C: hidden states are read back from the output, cells are int16 scratch; both start from zero."""

from __future__ import annotations

import numpy as np

from firmware_export.affine import fixed_point, fixed_points
from firmware_export.ops.lstm import BIASES, GATE_FRACTION, INPUT_WEIGHTS, NONLINEAR_SCALE, RECURRENT_WEIGHTS
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code, folded_bias

BODY = """
memset(cells, 0, @units@ * sizeof *cells);
for (int t = 0; t < @steps@; t++) {
    const int8_t *seen = x + @inputs@ * t;
    int8_t *hidden = y + @units@ * t;
    for (int u = 0; u < @units@; u++) {
        int32_t gate[4]; /* i, f, c, o in Q3.12 */
        int32_t kept;
        int32_t admitted;
        for (int g = 0; g < 4; g++) {
            const int8_t *w = @p@_weight + @inputs@ * (@units@ * g + u);
            const int8_t *r = @p@_recurrent + @units@ * (@units@ * g + u);
            int32_t sum = @p@_bias[@units@ * g + u];
            for (int i = 0; i < @inputs@; i++) {
                sum += seen[i] * w[i];
            }
            gate[g] = har_to_int16(har_rescale(sum, @p@_multiplier[g], @p@_shift[g]));
            if (t > 0) {
                sum = @p@_offset[@units@ * g + u];
                for (int i = 0; i < @units@; i++) {
                    sum += (hidden - @units@)[i] * r[i];
                }
                sum = har_to_int16(har_rescale(sum, @p@_multiplier[4 + g], @p@_shift[4 + g]));
                gate[g] = har_to_int16(gate[g] + sum);
            }
        }
        kept = har_to_int16(har_rescale(har_sigmoid(gate[1]) * cells[u], @keep@));
        admitted = har_to_int16(har_rescale(har_sigmoid(gate[0]) * har_tanh(gate[2], @gate_fraction@), @admit@));
        cells[u] = (int16_t)har_to_int16(kept + admitted);
        kept = har_rescale(har_tanh(cells[u], @cell_fraction@) * har_sigmoid(gate[3]), @emit@);
        hidden[u] = har_to_int8(kept, @zero@, -128, 127);
    }
}
"""


def emit_lstm(layer: Layer) -> Kernel:
    """Weights ``[4 H, I]`` and ``[4 H, H]``, gates one after another."""
    x, (output, cell) = layer.inputs[0], layer.outputs
    weight = np.concatenate([layer.constant(i) for i in _indices(INPUT_WEIGHTS)])
    recurrent = np.concatenate([layer.constant(i) for i in _indices(RECURRENT_WEIGHTS)])
    bias = np.concatenate([layer.constant(i) for i in _indices(BIASES)])
    sources = [(x, INPUT_WEIGHTS), (output, RECURRENT_WEIGHTS)]
    factors = fixed_points(
        np.asarray(
            [
                source.quantization.scale * layer.inputs[i].quantization.scale * 2**GATE_FRACTION
                for source, part in sources
                for i in _indices(part)
            ]
        )
    )
    cell_scale, output_scale = cell.quantization.scale, output.quantization.scale
    _, steps, units = output.shape
    body = code(
        BODY,
        p=layer.prefix,
        units=units,
        steps=steps,
        inputs=x.shape[2],
        keep=_factor(NONLINEAR_SCALE),
        admit=_factor(NONLINEAR_SCALE * NONLINEAR_SCALE / cell_scale),
        emit=_factor(NONLINEAR_SCALE * NONLINEAR_SCALE / output_scale),
        gate_fraction=GATE_FRACTION,
        cell_fraction=-int(np.log2(cell_scale)),
        zero=output.quantization.zero_point,
    )
    zeros = np.zeros(len(bias), np.int32)
    return Kernel(
        body,
        constants={
            "weight": weight,
            "recurrent": recurrent,
            "bias": folded_bias(layer, bias, weight, x.quantization.zero_point),
            "offset": folded_bias(layer, zeros, recurrent, output.quantization.zero_point),
            "multiplier": factors[0].astype(np.int32),
            "shift": factors[1].astype(np.int8),
        },
        scratch=Scratch("cells", units, 16),
        headers=("har_lstm.h",),
    )


def _indices(part: slice) -> range:
    return range(part.start, part.stop)


def _factor(real: float) -> str:
    multiplier, shift = fixed_point(real)
    return f"{multiplier}, {shift}"
