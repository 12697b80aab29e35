"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN: over time or an image."""

from __future__ import annotations

import math

from firmware_export.graph import Attrs
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.average_pool2d import AveragePool2d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.max_pool2d import MaxPool2d
from firmware_export.ops.mean import Mean
from firmware_export.ops.window2d import NO_PADDING
from firmware_export.tflite_reader.reading import Reading
from firmware_export.tflite_reader.window import Window, series_shape, window_of


def read_average_pool_2d(reading: Reading) -> None:
    """Without padding: TFLite counts only what lies inside the image."""
    window = _window(reading)
    if window.padding != NO_PADDING:
        raise reading.refuse(f"padding {window.padding} of an average pool is not supported, expected VALID")
    axis = window.only_axis
    if axis is not None:
        _emit(reading, window, axis, "average_pool1d", AveragePool1d(window.kernel[axis], window.stride[axis]))
    else:
        _emit(reading, window, None, "average_pool2d", AveragePool2d(window.kernel, window.stride))


def read_max_pool_2d(reading: Reading) -> None:
    """Padding never wins."""
    window = _window(reading)
    axis = window.only_axis
    if axis is not None:
        attrs = MaxPool1d(window.kernel[axis], window.stride[axis], window.padding[axis])
        _emit(reading, window, axis, "max_pool1d", attrs)
    else:
        _emit(reading, window, None, "max_pool2d", MaxPool2d(window.kernel, window.stride, window.padding))


def read_mean(reading: Reading) -> None:
    """Of any axes. In a float graph an average pool; in integers it has a scale of its own."""
    x = reading.tensor(0)
    reduced = {axis % len(x.shape) for axis in reading.steering(1)} if x.shape else set()
    kept = [axis for axis in range(len(x.shape)) if axis not in reduced]
    count, left = (math.prod(x.shape[axis] for axis in axes) for axes in (sorted(reduced), kept))
    if count < 1 or left < 1:
        raise reading.refuse(f"the mean of {list(x.shape)} over axes {sorted(reduced)}")
    series = reading.arranged(x, [*sorted(reduced), *kept], (1, count, left))
    if reading.values[series].dtype == "float32":
        value = reading.emit("average_pool1d", (series,), AveragePool1d(count, count))
    else:
        value = reading.emit("mean", (series,), Mean())
    reading.place(reading.fit(value))


def _window(reading: Reading) -> Window:
    kernel = reading.operator.number(4, "i"), reading.operator.number(3, "i")
    return window_of(reading, reading.tensor(0), kernel, (0, 1, 2), (1, 1))


def _emit(reading: Reading, window: Window, axis: int | None, op: str, attrs: Attrs) -> None:
    shape = window.x.shape if axis is None else series_shape(window, axis)
    value = reading.emit(op, (reading.shaped(window.x, shape),), attrs)
    reading.place(reading.clamped(value, reading.activation(5)))
