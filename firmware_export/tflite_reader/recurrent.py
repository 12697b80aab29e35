"""UNIDIRECTIONAL_SEQUENCE_LSTM: one layer in one direction over a whole series, states starting from zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.graph import Node, Quantization, Value
from firmware_export.ops import OPS
from firmware_export.ops.lstm import Lstm
from firmware_export.tflite_reader.file import FileTensor
from firmware_export.tflite_reader.reading import MOST_STEPS, Reading

WEIGHTS = (*range(1, 5), *range(5, 9))  # of the input, then of the hidden state; gates i, f, c, o
BIASES = range(12, 16)
HIDDEN, CELL = 18, 19  # states
LEFT_OUT = (9, 10, 11, 16, 17, *range(20, 24))  # peepholes, projection, layer normalization
TANH = 4  # ActivationFunctionType
COARSEST, FINEST = 9, 15  # k of a cell scale 2^-k


def read_lstm(reading: Reading) -> None:
    """Source of the operands' order: TFLite's ``unidirectional_sequence_lstm.cc``, full kernel."""
    operator = reading.operator
    given = [index for index in LEFT_OUT if reading.has(index)]
    clips = [operator.options.real(field) for field in (1, 2)] if operator.options is not None else []
    if given or any(clips) or operator.number(3, "?") or operator.number(0, "b") != TANH:
        raise reading.refuse(
            f"inputs {given} are there, clips are {clips}, time major {operator.number(3, '?')}, activation "
            f"{operator.number(0, 'b')}; expected a plain LSTM without peepholes, projection and clips, batch first"
        )
    x, made = reading.tensor(0), reading.output()
    if len(x.shape) != 3 or x.shape[0] != 1 or not 1 <= x.shape[1] <= MOST_STEPS or x.shape[2] < 1:
        raise reading.refuse(f"its input is {list(x.shape)}, expected [1, T, C] with T up to {MOST_STEPS}")
    series = reading.shaped(x, x.shape)
    source = reading.values[series]
    quantized = source.dtype != "float32"
    if source.dtype not in ("float32", "int8") or made.dtype != source.dtype:
        raise reading.refuse(f"{source.dtype} to {made.dtype} is not supported, expected float or int8")
    units = reading.constant(WEIGHTS[-1]).shape[0] if reading.constant(WEIGHTS[-1]).ndim else 0
    names = [series]
    for index in WEIGHTS:
        shape = (units, x.shape[2] if index <= 4 else units)
        names.append(_weight(reading, index, shape, quantized=quantized))
    for gate, index in enumerate(BIASES):
        weight = reading.values[names[1 + gate]]
        names.append(_bias(reading, index, units, source, weight))
    hidden = reading.name(made.name)
    cell = reading.name(f"{made.name}/cells")
    try:
        shape3 = OPS["lstm"].shape(Lstm(), [reading.values[name].shape for name in names])
    except ValueError as error:
        raise reading.refuse(str(error)) from None
    reading.values[hidden] = Value(hidden, shape3, source.dtype, _state_quant(reading, made) if quantized else None)
    reading.values[cell] = Value(
        cell, shape3, "int16" if quantized else "float32", _cell_quant(reading) if quantized else None
    )
    reading.nodes.append(Node("lstm", hidden, tuple(names), (hidden, cell), Lstm()))
    reading.place(hidden)


def _weight(reading: Reading, index: int, shape: tuple[int, ...], *, quantized: bool) -> str:
    data = reading.constant(index)
    if data.shape != shape or 0 in shape:
        raise reading.refuse(f"input {index} is {list(data.shape)}, expected {list(shape)}")
    if not quantized:
        return reading.add_constant(reading.file_tensor(index).name, reading.real(index))
    quant = reading.weight_quant(index, None)
    if data.dtype != np.int8 or quant.axis is not None:
        raise reading.refuse(f"input {index} is {data.dtype} with {len(quant.scales)} scales, expected int8 with one")
    return reading.add_constant(reading.file_tensor(index).name, data, quant)


def _bias(reading: Reading, index: int, units: int, x: Value, weight: Value) -> str:
    there = reading.has(index)
    name = reading.file_tensor(index).name if there else f"{reading.output().name}/bias"
    if x.quant is None:
        data: NDArray[Any] = reading.real(index) if there else np.zeros(units, np.float32)
        quant = None
    else:
        data = reading.constant(index) if there else np.zeros(units, np.int32)
        quant = reading.bias_quant(x.name, weight.quantization)
    if data.shape != (units,) or (quant is not None and data.dtype != np.int32):
        raise reading.refuse(f"input {index} is {data.dtype}{list(data.shape)}, expected [{units}]")
    return reading.add_constant(name, data, quant)


def _state_quant(reading: Reading, made: FileTensor) -> Quantization:
    if reading.has(HIDDEN) and reading.file_tensor(HIDDEN).quant != made.quant:
        raise reading.refuse("the hidden state fed back has another scale than the output")
    return made.quant


def _cell_quant(reading: Reading) -> Quantization:
    cell = reading.file_tensor(CELL)
    quant = cell.quant
    k = -np.log2(quant.scale)
    if cell.dtype != "int16" or quant.zero_point or k != np.rint(k) or not COARSEST <= k <= FINEST:
        raise reading.refuse(
            f"its cell state {cell} has scale {quant.scale:.6g}, expected int16 with 2^-{FINEST}..2^-{COARSEST}: "
            "LiteRT computes garbage outside"
        )
    return quant
