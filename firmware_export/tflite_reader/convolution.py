"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: over an image, over time, or over everything at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.graph import Attrs, Quantization
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.conv2d import Conv2d
from firmware_export.ops.dense import Dense
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.depthwise_conv2d import DepthwiseConv2d
from firmware_export.tflite_reader.file import MOST_NUMBERS
from firmware_export.tflite_reader.reading import Reading
from firmware_export.tflite_reader.window import Window, series_shape, window_of

WEIGHT, BIAS = 1, 2  # places among the inputs


def read_conv_2d(reading: Reading) -> None:
    """Filter ``[C_out, K_h, K_w, C_in / groups]``; one whose kernel covers its input is a dense layer."""
    filter_shape = _filter_shape(reading, 4)
    outputs, height, width, depth = filter_shape
    dilations = reading.operator.number(5, "i", 1), reading.operator.number(4, "i", 1)
    window = window_of(reading, reading.padded(0), (height, width), (0, 1, 2), dilations)
    activation = reading.activation(3)
    if depth < 1 or outputs < 1 or window.channels % depth or outputs % (window.channels // depth):
        raise reading.refuse(f"filter {list(filter_shape)} does not fit {window.channels} channels")
    groups, axis = window.channels // depth, window.only_axis
    if groups == 1 and window.covers_all:
        _emit_dense(reading, window, outputs)
    elif axis is not None:
        attrs = Conv1d(groups=groups, activation=activation, **_along(window, axis))
        x = reading.shaped(window.x, series_shape(window, axis))
        _emit(reading, "conv1d", x, attrs, shape=(outputs, window.kernel[axis], depth))
    elif groups == 1:
        attrs2d = Conv2d(activation=activation, **_across(window))
        x = reading.shaped(window.x, window.x.shape)
        _emit(reading, "conv2d", x, attrs2d, shape=filter_shape)
    else:
        raise reading.refuse(f"{groups} groups over an image, expected 1")


def read_depthwise_conv_2d(reading: Reading) -> None:
    """Filter ``[1, K_h, K_w, C * multiplier]``."""
    filter_shape = _filter_shape(reading, 4)
    one, height, width, outputs = filter_shape
    dilations = reading.operator.number(6, "i", 1), reading.operator.number(5, "i", 1)
    window = window_of(reading, reading.padded(0), (height, width), (0, 1, 2), dilations)
    activation = reading.activation(4)
    multiplier, left_over = divmod(outputs, window.channels)
    if one != 1 or multiplier < 1 or left_over:
        raise reading.refuse(f"filter {list(filter_shape)} does not fit {window.channels} channels")
    if math.prod(window.x.padded_shape) * multiplier > MOST_NUMBERS:
        raise reading.refuse(f"{multiplier} outputs a channel of {list(window.x.shape)} are more than a device runs")
    axis = window.only_axis
    if axis is not None:
        attrs = DepthwiseConv1d(multiplier=multiplier, activation=activation, **_along(window, axis))
        x = reading.shaped(window.x, series_shape(window, axis))
        _emit(reading, "depthwise_conv1d", x, attrs, shape=(window.kernel[axis], outputs), axis=1, file_axis=3)
        return
    attrs2d = DepthwiseConv2d(multiplier=multiplier, activation=activation, **_across(window))
    x = reading.shaped(window.x, window.x.shape)
    _emit(reading, "depthwise_conv2d", x, attrs2d, shape=(height, width, outputs), axis=2, file_axis=3)


def read_fully_connected(reading: Reading) -> None:
    """Weight ``[C_out, C_in]``; of several rows at once a convolution of kernel 1.

    TFLite Micro rescales its sums as those of a convolution, rounding twice, and so do we; LiteRT's reference kernel
    rounds once (docs/decisions/0003).
    """
    outputs, inputs = _filter_shape(reading, 2)
    if reading.operator.number(1, "b"):
        raise reading.refuse("shuffled weights are not supported")
    x = reading.tensor(0)
    size = math.prod(x.shape)
    if inputs < 1 or outputs < 1 or size == 0 or size % inputs:
        raise reading.refuse(f"weight {[outputs, inputs]} does not fit an input {list(x.shape)}")
    activation = reading.activation(0)
    if size == inputs:
        _emit(reading, "dense", reading.shaped(x, (1, inputs)), Dense(activation), shape=(outputs, inputs))
    else:
        rows = reading.shaped(x, (1, size // inputs, inputs))
        _emit(reading, "conv1d", rows, Conv1d(activation=activation), shape=(outputs, 1, inputs))


def _emit_dense(reading: Reading, window: Window, outputs: int) -> None:
    inputs = math.prod(window.x.shape)
    x = reading.shaped(window.x, (1, inputs))
    _emit(reading, "dense", x, Dense(reading.activation(3)), shape=(outputs, inputs))


def _emit(
    reading: Reading, op: str, x: str, attrs: Attrs, *, shape: tuple[int, ...], axis: int = 0, file_axis: int = 0
) -> None:
    """Append the layer; its weight has ``shape`` and scales along ``axis`` here, along ``file_axis`` in the file."""
    names = (x, *weight_and_bias(reading, x, shape, axis, file_axis))
    reading.place(reading.fit(reading.emit(op, names, attrs)))


def weight_and_bias(reading: Reading, x: str, shape: tuple[int, ...], axis: int, file_axis: int) -> tuple[str, str]:
    """Add the constants of a layer: as they are in an integer graph, as real numbers in a float one."""
    channels = shape[axis]
    weight_name, bias_name = reading.file_tensor(WEIGHT).name, f"{reading.output().name}/bias"
    if reading.has(BIAS):
        bias_name = reading.file_tensor(BIAS).name
        if reading.constant(BIAS).shape != (channels,):
            raise reading.refuse(f"bias {list(reading.constant(BIAS).shape)}, expected [{channels}]")
    source = reading.values[x]
    if source.dtype == "float32":
        bias = reading.real(BIAS) if reading.has(BIAS) else np.zeros(channels, np.float32)
        return (
            reading.add_constant(weight_name, reading.real(WEIGHT).reshape(shape)),
            reading.add_constant(bias_name, bias),
        )
    weight = reading.constant(WEIGHT)
    wide = "int64" if source.dtype == "int16" else "int32"
    stored: NDArray[np.int32] | NDArray[np.int64] = (
        reading.constant(BIAS) if reading.has(BIAS) else np.zeros(channels, wide)
    )
    if weight.dtype != np.int8 or stored.dtype != np.dtype(wide):
        raise reading.refuse(f"weights {weight.dtype} and biases {stored.dtype}, expected int8 and {wide}")
    found = reading.weight_quant(WEIGHT, file_axis)
    quant = Quantization(found.scales if found.axis is not None else found.scales * channels, 0, axis)
    return (
        reading.add_constant(weight_name, weight.reshape(shape), quant),
        reading.add_constant(bias_name, stored, reading.bias_quant(x, quant)),
    )


def _along(window: Window, axis: int) -> dict[str, Any]:
    """Return a window's settings along one of its axes."""
    return {
        "kernel": window.kernel[axis],
        "stride": window.stride[axis],
        "dilation": window.dilation[axis],
        "padding": window.padding[axis],
    }


def _across(window: Window) -> dict[str, Any]:
    """Return a window's settings, each of height and width."""
    return {
        "kernel": window.kernel,
        "stride": window.stride,
        "dilation": window.dilation,
        "padding": window.padding,
    }


def _filter_shape(reading: Reading, axes: int) -> tuple[int, ...]:
    shape = reading.constant(WEIGHT).shape
    if len(shape) != axes:
        raise reading.refuse(f"its weight is {list(shape)}, expected {axes} axes")
    return shape
