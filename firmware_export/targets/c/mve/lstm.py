"""``lstm`` with MVE: the four gates of a unit are four sums at a time, then four units' states side by side."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from firmware_export.affine import fixed_point, fixed_points
from firmware_export.ops.lstm import BIASES, GATE_FRACTION, INPUT_WEIGHTS, NONLINEAR_SCALE, RECURRENT_WEIGHTS
from firmware_export.targets.c.layer import Kernel, Layer, Scratch, code, folded_bias
from firmware_export.targets.c.mve.rows import HEADERS, steps_of

T = TypeVar("T", bound=np.integer)

GATES = 4  # i, f, c, o
TOGETHER = 4  # units
BODY = """
static const int32_t keep[2] = {@keep@}, admit[2] = {@admit@}, emit[2] = {@emit@};
int16_t *cells = gates + @all_gates@;
int8_t *first = (int8_t *)(cells + @cells@);
const int8_t *hidden = first;
memset(gates, 0, @count@ * sizeof *gates);
memset(first, @zero@, @units@);
for (int t = 0; t < @steps@; t++) {
    har_mve_gates(x + @inputs@ * t, hidden, @p@_weight, @p@_bias, @p@_factor, gates, @units@, @inputs@);
    har_mve_states(gates, cells, y, @units@, keep, admit, emit, @gate_fraction@, @cell_fraction@, @zero@);
    hidden = y;
    y += @units@;
}
"""


def mve_lstm(layer: Layer) -> Kernel:
    """Always: sums may be shifted to either side."""
    x, (output, cell) = layer.inputs[0], layer.outputs
    _, steps, units = output.shape
    weights, biases, factors = [], [], []
    for source, part in ((x, INPUT_WEIGHTS), (output, RECURRENT_WEIGHTS)):
        indices = range(part.start, part.stop)
        rows = np.concatenate([layer.constant(i) for i in indices])
        bias = np.zeros(len(rows), np.int32)
        if part is INPUT_WEIGHTS:
            bias = np.concatenate([layer.constant(i) for i in range(BIASES.start, BIASES.stop)])
        weights.append(steps_of(_by_unit(rows, units), GATES).reshape(units, -1))
        biases.append(_by_unit(folded_bias(layer, bias, rows, source.quantization.zero_point), units))
        scales = np.asarray([layer.inputs[i].quantization.scale for i in indices])
        factors.append(fixed_points(source.quantization.scale * scales * 2**GATE_FRACTION))
    padded = -(-units // TOGETHER) * TOGETHER
    count = GATES * padded + padded + -(-units // 2)
    body = code(
        BODY,
        p=layer.prefix,
        steps=steps,
        units=units,
        inputs=x.shape[2],
        all_gates=GATES * padded,
        cells=padded,
        count=count,
        zero=output.quantization.zero_point,
        keep=_factor(NONLINEAR_SCALE),
        admit=_factor(NONLINEAR_SCALE * NONLINEAR_SCALE / cell.quantization.scale),
        emit=_factor(NONLINEAR_SCALE * NONLINEAR_SCALE / output.quantization.scale),
        gate_fraction=GATE_FRACTION,
        cell_fraction=-int(np.log2(cell.quantization.scale)),
    )
    return Kernel(
        body,
        constants={
            "weight": np.concatenate(weights, axis=1),
            "bias": np.stack([each.reshape(units, GATES) for each in biases], axis=1).astype(np.int32),
            "factor": np.asarray(factors).astype(np.int32),
        },
        scratch=Scratch("gates", count, 16),
        headers=(*HEADERS, "har_lstm.h", "har_lstm_mve.h"),
    )


def _by_unit(rows: NDArray[T], units: int) -> NDArray[T]:
    """``[4 H, ...]``, gate after gate, as unit after unit."""
    return rows.reshape(GATES, units, -1).swapaxes(0, 1).reshape(GATES * units, -1)


def _factor(real: float) -> str:
    multiplier, shift = fixed_point(real)
    return f"{multiplier}, {shift}"
