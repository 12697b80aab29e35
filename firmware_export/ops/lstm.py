"""``lstm``: one layer in one direction over a whole series, states starting from zero.

Operands: x ``[N, T, I]``, input weights ``[H, I]`` of the gates i, f, c, o, recurrent weights ``[H, H]`` of the same,
biases ``[H]`` of the same. Outputs: hidden states ``[N, T, H]`` and, for calibration and scale alone, the cell states
``[N, T, H]``.

Source of the float form: Hochreiter and Schmidhuber 1997 with forget gates, as torch.nn.LSTM states it. Source of the
int8 arithmetic: TFLite Micro's UNIDIRECTIONAL_SEQUENCE_LSTM: gates are Q3.12 before and Q0.15 after their
nonlinearity, which is interpolated in a table of 256 sigmoids; cells are int16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.affine import INT16_MAX, INT16_MIN, fixed_points, rescale_by, rescale_wide_by, wide_points
from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.conv1d import exact_dtype
from firmware_export.ops.op import Activation, Array, Bias, Op, OutputScale, Weight

GATES = ("i", "f", "c", "o")
INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES = slice(1, 5), slice(5, 9), slice(9, 13)

GATE_FRACTION = 12  # bits of Q3.12
NONLINEAR_SCALE = 2.0**-15  # of Q0.15
SIGMOID_STEPS = 24  # table entries a unit of x

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Lstm(Attrs):
    """There is nothing to set: shapes tell the sizes, ``reverse`` before and after makes the other direction."""


def shape(_attrs: Lstm, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, T, H)``, of both outputs.

    Raises:
        ValueError: the input is no series of as many channels as the weights have.
    """
    if len(inputs[0]) != 3 or inputs[0][2] != inputs[1][1]:
        raise ValueError(f"an LSTM over {list(inputs[0])} with input weights {list(inputs[1])}, expected [1, T, I]")
    return inputs[0][0], inputs[0][1], inputs[1][0]


def macs(_attrs: Lstm, inputs: Sequence[Shape], output: Shape) -> int:
    """Return one product a weight and step."""
    return output[1] * sum(int(np.prod(weight)) for weight in inputs[1:9])


def float32(_attrs: Lstm, inputs: Sequence[Array]) -> tuple[Array, Array]:
    """Return hidden and cell states in float32.

    With sigmoid(x) = (1 + tanh(x / 2)) / 2 one tanh serves all gates; halving the weights before is exact.
    """
    halved = [1.0 if gate == "c" else 0.5 for gate in GATES]
    weight, recurrent, bias = (
        np.concatenate([part * np.float32(half) for part, half in zip(inputs[operands], halved, strict=True)])
        for operands in (INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES)
    )
    x = _series_last(inputs[0])
    both, fed = np.hstack([weight, recurrent]), x.shape[1]
    seen = np.zeros((both.shape[1], x.shape[2]), np.float32)  # of one step: the input above the last hidden state
    hidden, cells = (np.empty((len(x), recurrent.shape[1], x.shape[2]), np.float32) for _ in range(2))
    c = np.zeros_like(cells[0])
    for t, step in enumerate(x):
        seen[:fed] = step
        gates = both @ seen
        gates += bias[:, None]
        np.tanh(gates, out=gates)
        tanh_i, tanh_f, g, tanh_o = np.split(gates, 4)
        c = (tanh_f + 1) / 2 * c + (tanh_i + 1) / 2 * g
        hidden[t], cells[t] = (tanh_o + 1) / 2 * np.tanh(c), c
        seen[fed:] = hidden[t]
    return _series_first(hidden), _series_first(cells)


def _series_last(x: Array) -> Array:
    """Return ``[N, T, K]`` as ``[T, K, N]``: the gates of a step are then whole rows, side by side in memory."""
    return np.ascontiguousarray(x.transpose(1, 2, 0))


def _series_first(x: Array) -> Array:
    """Return ``[T, K, N]`` as ``[N, T, K]``."""
    return np.ascontiguousarray(x.transpose(2, 0, 1))


def int8(
    _attrs: Lstm, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization
) -> tuple[Array, Array]:
    """Return hidden states in int8 and cell states in int16."""
    return _states(inputs, quants, output, np.iinfo(np.int8), _rescaled_twice)


def int16(
    _attrs: Lstm, inputs: Sequence[Array], quants: Sequence[Quantization], output: Quantization
) -> tuple[Array, Array]:
    """Return hidden and cell states in int16: what adds to a gate is summed in 64 bits and rounded once."""
    return _states(inputs, quants, output, np.iinfo(np.int16), _rescaled_once)


def _states(
    inputs: Sequence[Array],
    quants: Sequence[Quantization],
    output: Quantization,
    limits: np.iinfo[Any],
    rescaling: Rescaling,
) -> tuple[Array, Array]:
    """Return hidden states of the type with these limits, and cell states in int16."""
    x, cell_scale = _series_last(inputs[0]), quants[-1].scale
    gates_of = partial(_gate_inputs, rescaling)
    from_input = gates_of(inputs[INPUT_WEIGHTS], quants[0], quants[INPUT_WEIGHTS], np.concatenate(inputs[BIASES]))
    from_hidden = gates_of(inputs[RECURRENT_WEIGHTS], output, quants[RECURRENT_WEIGHTS], np.zeros(1, np.int64))
    keep, admit, emit = (
        fixed_points(NONLINEAR_SCALE * scale)
        for scale in (1.0, NONLINEAR_SCALE / cell_scale, NONLINEAR_SCALE / output.scale)
    )
    sigmoid, tanh, cell_tanh = _sigmoid_table(), _tanh_table(GATE_FRACTION), _tanh_table(_fraction_bits(cell_scale))

    steps, _, n = x.shape
    units = len(inputs[RECURRENT_WEIGHTS][0])
    hidden = np.empty((steps, units, n), limits.dtype)
    cells = np.empty((steps, units, n), np.int16)
    h, c = np.full((units, n), output.zero_point, limits.dtype), np.zeros((units, n), np.int64)
    for t in range(steps):
        gates = from_input(x[t])
        gates += from_hidden(h)
        i, f, g, o = np.split(_to_int16(gates), 4)
        kept = _to_int16(rescale_by(sigmoid[f] * c, keep))
        kept += _to_int16(rescale_by(sigmoid[i] * tanh[g], admit))
        c = _to_int16(kept)
        emitted = rescale_by(cell_tanh[c] * sigmoid[o], emit) + output.zero_point
        h = np.clip(emitted, limits.min, limits.max).astype(limits.dtype)
        hidden[t], cells[t] = h, c
    return _series_first(hidden), _series_first(cells)


def _rescaled_twice(factors: NDArray[np.float64]) -> Callable[[I64], I64]:
    points = fixed_points(factors)[..., None]
    return lambda total: rescale_by(total, points)


def _rescaled_once(factors: NDArray[np.float64]) -> Callable[[I64], I64]:
    points = wide_points(factors)[..., None]
    return lambda total: rescale_wide_by(total, points)


Rescaling = Callable[[NDArray[np.float64]], Callable[[I64], I64]]


def _gate_inputs(
    rescaling: Rescaling,
    weights: Sequence[Array],
    x: Quantization,
    quants: Sequence[Quantization],
    bias: Array,
) -> Callable[[Array], I64]:
    """Return what adds to each gate for ``[K, N]`` integers of one step: ``[4 H, N]`` in Q3.12."""
    integers = np.concatenate(weights)
    weight = integers.astype(np.float64 if rescaling is _rescaled_once else exact_dtype(integers.shape[1]))
    offset = (bias - x.zero_point * integers.astype(np.int64).sum(axis=1))[:, None]
    rescaled = rescaling(np.repeat([x.scale * w.scale * 2**GATE_FRACTION for w in quants], len(weights[0])))

    def gate_inputs(step: Array) -> I64:
        total = (weight @ step.astype(weight.dtype)).astype(np.int64)
        total += offset
        return _to_int16(rescaled(total))

    return gate_inputs


def _to_int16(a: I64) -> I64:
    return np.clip(a, INT16_MIN, INT16_MAX, out=a)


def _fraction_bits(scale: float) -> int:
    return -int(np.log2(scale))


@cache
def sigmoids() -> I64:
    """Return TFLite's table: sigmoid(k / 24) in Q0.16 for k in 0..255.

    An entry lies above the function by half of what the chords to its neighbours miss in their middles, so that
    interpolation errs to both sides; the last one is the largest uint16.
    """

    def sigmoid(k: NDArray[np.float64]) -> NDArray[np.float64]:
        y: NDArray[np.float64] = 2.0**16 / (1 + np.exp(-k / SIGMOID_STEPS))
        return y

    k = np.arange(256.0)
    missed = [sigmoid(k + side / 2) - (sigmoid(k) + sigmoid(k + side)) / 2 for side in (-1, 1)]
    table = np.rint(sigmoid(k) + (missed[0] + missed[1]) / 4).astype(np.int64)
    table[-1] = 2**16 - 1
    return table


def _interpolated(size: I64, bits: int, saturated: int) -> I64:
    """Return the table at ``size / 2^bits`` for ``size`` >= 0, with ``bits`` more fraction bits."""
    table, whole = sigmoids(), size >> bits
    low = table[np.minimum(whole, 254)]
    high = table[np.minimum(whole, 254) + 1]
    return np.where(whole >= 255, saturated, (low << bits) + (size & (2**bits - 1)) * (high - low))


@cache
def _sigmoid_table() -> I64:
    """Return the sigmoid in Q0.15 of every Q3.12. Source: TFLite ``reference_integer_ops::Logistic``."""
    x = 3 * np.arange(INT16_MIN, INT16_MAX + 1, dtype=np.int64)  # 24 entries a unit are 3 * 2^12 over 2^9
    y = _interpolated(np.abs(x), 9, INT16_MAX << 10)
    return _by_int16(np.where(x >= 0, y + 2**9, 2**25 - y + 2**9 - 1) >> 10)


@cache
def _tanh_table(fraction: int) -> I64:
    """Return tanh in Q0.15 of every int16 with this many fraction bits. Source: TFLite ``reference_integer_ops::Tanh``.

    tanh(x) = 2 sigmoid(2x) - 1.
    """
    x = 3 * np.arange(INT16_MIN, INT16_MAX + 1, dtype=np.int64)
    shift = fraction - GATE_FRACTION
    x = x << -shift if shift <= 0 else (x + (1 << shift >> 1)) >> shift
    y = _interpolated(np.abs(x), 8, (2**16 - 1) << 8)
    return _by_int16(np.where(x >= 0, y - 2**23 + 2**7, -y + 2**23 + 2**7 - 1) >> 8)


def _by_int16(table: I64) -> I64:
    """Return a table from -2^15 on so that an int16 indexes it, negative ones from its end."""
    return np.roll(table, INT16_MIN)


LSTM = Op(
    operands=(
        Activation(),
        *(Weight(axis=None) for _ in range(8)),
        *(Bias(of=gate) for gate in (1, 2, 3, 4)),
    ),
    output_scale=OutputScale.CALIBRATED,
    shape=shape,
    macs=macs,
    float32=float32,
    int8=int8,
    stateful=True,
)
