"""Operators on each number (ADD to DIV, clamps, QUANTIZE, DEQUANTIZE), and along channels SOFTMAX and norms."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.affine import INT8_MAX
from firmware_export.graph import Quantization
from firmware_export.ops.add import Add
from firmware_export.ops.add_constant import AddConstant
from firmware_export.ops.batch_norm import BatchNorm
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.l2_norm import L2Norm
from firmware_export.ops.op import FusedActivation
from firmware_export.ops.relu import Relu
from firmware_export.ops.softmax import Softmax
from firmware_export.tflite_reader import trees
from firmware_export.tflite_reader.reading import Reading, Tensor, canonical

LARGEST_TABLE = 2**20  # numbers of a constant that is added to an activation
UNSIGNED_OFFSET = 128  # a uint8 stands for the same number as the int8 this much lower


def read_add(reading: Reading) -> None:
    """Two activations of one shape, or one and a constant; or a step of trees."""
    if any(trees.walk_at(reading, index) is not None for index in (0, 1)):
        trees.read_step(reading)
        return
    activation = reading.activation(0)
    if reading.is_constant(0) or reading.is_constant(1):
        _add_constant(reading, activation)
        return
    a, b = reading.tensor(0), reading.tensor(1)
    if a.shape != b.shape:
        raise reading.refuse(f"sum of {list(a.shape)} and {list(b.shape)}, expected one shape")
    shapes = [reading.values[t.value].shape for t in (a, b)]
    if a.axes == b.axes and shapes[0] == shapes[1]:
        _same_axes(reading, a, reading.emit("add", (a.value, b.value), Add(activation)))
        return
    values = [reading.shaped(t, canonical(t.shape)) for t in (a, b)]
    reading.place(reading.emit("add", values, Add(activation)))


def read_sub(reading: Reading) -> None:
    """An activation minus a constant a channel, or the other way round, in float."""
    _float_only(reading)
    constant = 1 if reading.is_constant(1) else 0
    sign = -1.0 if constant == 1 else 1.0
    numbers = reading.real(constant)
    _scale_and_offset(reading, 1 - constant, np.full_like(numbers, -sign), sign * numbers)


def read_mul(reading: Reading) -> None:
    """One activation times a constant a channel."""
    constant = 1 if reading.is_constant(1) else 0
    if reading.dtype == "float32":
        numbers = reading.real(constant)
        _scale_and_offset(reading, 1 - constant, numbers, np.zeros_like(numbers))
    else:
        _multiply_integers(reading, constant)


def read_div(reading: Reading) -> None:
    """An activation divided by a constant a channel, in float."""
    _float_only(reading)
    numbers = reading.real(1)
    if not numbers.all():
        raise reading.refuse("the divisor holds a zero")
    _scale_and_offset(reading, 0, 1 / numbers, np.zeros_like(numbers))


def read_relu(reading: Reading) -> None:
    """``max(x, 0)``."""
    _clamp(reading, FusedActivation.RELU)


def read_relu6(reading: Reading) -> None:
    """``min(max(x, 0), 6)``."""
    _clamp(reading, FusedActivation.RELU6)


def read_quantize(reading: Reading) -> None:
    """At the network's edge a float or uint8 input becomes int8 itself; inside, one scale becomes another."""
    x, made = reading.tensor(0), reading.output()
    value = reading.values[x.value]
    if value.dtype == "float32":
        if x.value not in reading.input_values or made.dtype not in ("int8", "int16"):
            raise reading.refuse(f"{value.dtype} to {made.dtype}, expected a float input of the network to int8")
        reading.values[x.value] = replace(value, dtype="int8" if made.dtype == "int8" else "int16", quant=made.quant)
        reading.alias(x)
    elif made.dtype == "uint8":
        shifted = Quantization(made.quant.scales, made.quant.zero_point - UNSIGNED_OFFSET)
        if value.dtype != "int8" or shifted != value.quantization:
            raise reading.refuse("to uint8 in another scale than its input's")
        reading.define(made.index, x)
    elif value.quantization == made.quant:
        reading.alias(x)
    else:
        _rescale(reading, x, FusedActivation.NONE)


def read_dequantize(reading: Reading) -> None:
    """A constant becomes real numbers; an output of the network is int8 itself."""
    made = reading.output()
    if reading.is_constant(0):
        reading.folded[made.index] = reading.real(0)
    else:
        x = reading.tensor(0)
        if x.shape != made.shape:
            raise reading.refuse(f"it makes {list(x.shape)}, the file declares {list(made.shape)}")
        reading.define(made.index, x)


def read_softmax(reading: Reading) -> None:
    """Over the last axis."""
    beta = 1.0 if reading.operator.options is None else reading.operator.options.real(0)
    if beta != 1.0:
        raise reading.refuse(f"beta {beta} is not supported, expected 1")
    _along_last_axis(reading, "softmax", Softmax())


def read_l2_normalization(reading: Reading) -> None:
    """Every column divided by its Euclidean length."""
    if reading.activation(0) is not FusedActivation.NONE:
        raise reading.refuse("a clamp after a normalization is not supported")
    _along_last_axis(reading, "l2_norm", L2Norm())


def _along_last_axis(reading: Reading, op: str, attrs: Softmax | L2Norm) -> None:
    x = reading.tensor(0)
    if not x.shape or 0 in x.shape:
        raise reading.refuse(f"its input is {list(x.shape)}")
    rank = len(reading.values[x.value].shape)
    if x.axes[-1] == rank - 1 and rank in (2, 3, 4):
        _same_axes(reading, x, reading.emit(op, (x.value,), attrs))
        return
    channels = x.shape[-1]
    rows = reading.shaped(x, (1, math.prod(x.shape) // channels, channels))
    reading.place(reading.fit(reading.emit(op, (rows,), attrs)))


def _same_axes(reading: Reading, x: Tensor, value: str) -> None:
    """Let a value that was computed number by number be the output, its axes as those of the input."""
    made = reading.output()
    if made.shape != x.shape:
        raise reading.refuse(f"it makes {list(x.shape)}, the file declares {list(made.shape)}")
    reading.define(made.index, replace(x, value=value))


def _float_only(reading: Reading) -> None:
    if reading.dtype != "float32":
        raise reading.refuse(f"of {reading.dtype} is not supported, expected float; fold it into a layer before export")


def _clamp(reading: Reading, activation: FusedActivation) -> None:
    x = reading.tensor(0)
    quant = reading.values[x.value].quant
    if quant is not None and quant != reading.output().quant:
        _rescale(reading, x, activation)
    else:
        _same_axes(reading, x, reading.emit("relu", (x.value,), Relu(activation)))


def _rescale(reading: Reading, x: Tensor, activation: FusedActivation) -> None:
    """From one scale to another: a depthwise convolution of kernel 1 with weights of 1 rounds just as QUANTIZE does."""
    channels = reading.values[x.value].shape[-1]
    _depthwise(reading, x, np.ones(channels, np.int8), 1.0, activation)


def _multiply_integers(reading: Reading, constant: int) -> None:
    """MUL rescales its products as a convolution does its sums: a depthwise convolution of kernel 1."""
    x, table = reading.tensor(1 - constant), reading.file_tensor(constant)
    quant = table.quant
    vector = _vector(reading, x, reading.constant(constant).astype(np.int64) - quant.zero_point)
    if vector is None or np.abs(vector).max(initial=0) > INT8_MAX:
        raise reading.refuse(
            f"times {table}, expected one number or one a channel, at most {INT8_MAX} steps from their zero point"
        )
    _depthwise(reading, x, vector.astype(np.int8), quant.scale, reading.activation(0))


def _depthwise(
    reading: Reading, x: Tensor, weight: NDArray[np.int8], scale: float, activation: FusedActivation
) -> None:
    value, made = reading.values[x.value], reading.output()
    channels = value.shape[-1]
    if value.dtype != "int8" or weight.shape != (channels,):
        raise reading.refuse(f"of {value.dtype}{list(value.shape)} is not supported, expected int8 channels")
    quant = Quantization((scale,) * channels, 0, 1)
    names = (
        reading.reshaped(x.value, (1, math.prod(value.shape) // channels, channels)),
        reading.add_constant(f"{made.name}/weight", weight[None], quant),
        reading.add_constant(f"{made.name}/bias", np.zeros(channels, np.int32), reading.bias_quant(x.value, quant)),
    )
    result = reading.emit("depthwise_conv1d", names, DepthwiseConv1d(activation=activation))
    _same_axes(reading, x, reading.reshaped(result, value.shape))


def _add_constant(reading: Reading, activation: FusedActivation) -> None:
    constant = 1 if reading.is_constant(1) else 0
    x = reading.tensor(1 - constant)
    if reading.dtype == "float32" and _vector(reading, x, reading.real(constant)) is not None:
        numbers = reading.real(constant)
        _scale_and_offset(reading, 1 - constant, np.ones_like(numbers), numbers)
        return
    table = reading.file_tensor(constant)
    quant = table.quant if reading.dtype != "float32" else None
    data = reading.constant(constant) if quant is not None else reading.real(constant)
    if quant is not None and data.dtype != np.int8:
        raise reading.refuse(f"of {data.dtype} constants is not supported, expected int8")
    shape = canonical(x.shape)
    broadcast = _broadcast(reading, x, data).reshape(shape)
    names = reading.shaped(x, shape), reading.add_constant(table.name, broadcast, quant)
    reading.place(reading.emit("add_constant", names, AddConstant(activation)))


def _broadcast(reading: Reading, x: Tensor, data: NDArray[Any]) -> NDArray[Any]:
    if math.prod(x.shape) > LARGEST_TABLE:
        raise reading.refuse(f"a constant beside {list(x.shape)} is larger than {LARGEST_TABLE} numbers")
    try:
        return np.broadcast_to(data, x.shape)
    except ValueError:
        raise reading.refuse(f"a constant {list(data.shape)} does not fit {list(x.shape)}") from None


def _vector(reading: Reading, x: Tensor, data: NDArray[Any]) -> NDArray[Any] | None:
    """Return a constant as one number a channel of our value, None if it is none."""
    channels = reading.values[x.value].shape[-1]
    if data.size == 1:
        return np.full(channels, data.reshape(())[()])
    aligned = (1,) * (len(x.shape) - data.ndim) + data.shape
    longer = [axis for axis, n in enumerate(aligned) if n != 1]
    last = len(reading.values[x.value].shape) - 1
    fits = len(aligned) == len(x.shape) and len(longer) == 1 and x.axes[longer[0]] == last and data.size == channels
    return data.reshape(-1) if fits else None


def _scale_and_offset(reading: Reading, index: int, scale: NDArray[Any], offset: NDArray[Any]) -> None:
    """``x * scale + offset`` a channel in float, as a batch norm, which passes fold."""
    x, made = reading.tensor(index), reading.output()
    vectors = [_vector(reading, x, numbers) for numbers in (scale, offset)]
    if vectors[0] is None or vectors[1] is None:
        raise reading.refuse(
            f"a constant {list(scale.shape)} with an activation {list(x.shape)}, expected one number, or one a channel"
        )
    names = [
        reading.add_constant(f"{made.name}/{what}", vector)
        for what, vector in zip(("scale", "offset"), vectors, strict=True)
        if vector is not None
    ]
    value = reading.emit("batch_norm", (x.value, *names), BatchNorm())
    _same_axes(reading, x, reading.clamped(value, reading.activation(0)))
