"""ONNX pools over time."""

from __future__ import annotations

import onnx_ir as ir

from firmware_export.graph import Attrs
from firmware_export.onnx_reader.convolution import padding_of, time_series
from firmware_export.onnx_reader.reading import Reading, Tensor, attribute
from firmware_export.onnx_reader.shapes import drop_axes
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.window1d import Padding


def _window(reading: Reading, node: ir.Node, x: Tensor) -> tuple[int, int, Padding]:
    """Return kernel, stride and padding, refusing what our pools cannot express."""
    (kernel,) = attribute(node, "kernel_shape", ())
    (stride,) = attribute(node, "strides", (1,))
    (dilation,) = attribute(node, "dilations", (1,))
    if dilation != 1:
        raise reading.refuse(node, f"dilation {dilation} is not supported, expected 1")
    before, after = padding_of(reading, node, x.shape[1], kernel)
    left_over = (x.shape[1] + before + after - kernel) % stride
    if attribute(node, "ceil_mode", 0) and left_over:
        raise reading.refuse(node, f"ceil_mode with {left_over} samples left over is not supported; set it to false")
    return int(kernel), int(stride), (before, after)


def read_max_pool(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]``."""
    x = time_series(reading, node)
    if len(node.outputs) > 1 and node.outputs[1].uses():
        raise reading.refuse(node, "its second output (indices) is used, which is not supported")
    kernel, stride, padding = _window(reading, node, x)
    reading.add(node, "max_pool1d", (x.name,), MaxPool1d(kernel, stride, padding), x.axes)


def read_average_pool(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]``, without padding."""
    x = time_series(reading, node)
    kernel, stride, padding = _window(reading, node, x)
    if padding != (0, 0):
        raise reading.refuse(node, f"padding {padding} of an average pool is not supported, expected none")
    reading.add(node, "average_pool1d", (x.name,), AveragePool1d(kernel, stride), x.axes)


def read_global_average_pool(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]`` to ``[N, C, 1]``."""
    length = time_series(reading, node).shape[1]
    _global_pool(reading, node, "average_pool1d", AveragePool1d(length, length))


def read_global_max_pool(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]`` to ``[N, C, 1]``."""
    length = time_series(reading, node).shape[1]
    _global_pool(reading, node, "max_pool1d", MaxPool1d(length, length))


def read_reduce_mean(reading: Reading, node: ir.Node) -> None:
    """Mean over time alone: a global average pool."""
    length = _reduced_length(reading, node)
    _reduce(reading, node, "average_pool1d", AveragePool1d(length, length))


def read_reduce_max(reading: Reading, node: ir.Node) -> None:
    """Maximum over time alone: a global max pool."""
    length = _reduced_length(reading, node)
    _reduce(reading, node, "max_pool1d", MaxPool1d(length, length))


def _global_pool(reading: Reading, node: ir.Node, op: str, attrs: Attrs) -> None:
    x = reading.tensor(node, 0)
    reading.add(node, op, (x.name,), attrs, x.axes)


def _reduced_axes(reading: Reading, node: ir.Node) -> set[int]:
    """Return the axes in the file; they are input 1 (opset 18 on) or an attribute."""
    given = reading.constant(node, 1)
    axes = attribute(node, "axes", ()) if given is None else given.reshape(-1).tolist()
    return {int(axis) % len(reading.tensor(node, 0).axes) for axis in axes}


def _reduced_length(reading: Reading, node: ir.Node) -> int:
    """Return T if time, besides axes of length 1 that only the file has, is all that is reduced."""
    x, axes = reading.tensor(node, 0), _reduced_axes(reading, node)
    if len(x.shape) != 3 or {x.axes[i] for i in axes} - {None} != {1}:
        raise reading.refuse(node, f"{list(x.onnx_shape)} reduced over axes {sorted(axes)}, expected time alone")
    return x.shape[1]


def _reduce(reading: Reading, node: ir.Node, op: str, attrs: Attrs) -> None:
    x = reading.tensor(node, 0)
    if attribute(node, "keepdims", 1):
        reading.add(node, op, (x.name,), attrs, x.axes)
        return
    pooled = reading.add(node, op, (x.name,), attrs, x.axes, output=f"{node.outputs[0].name}/pooled")
    drop_axes(reading, node, pooled, _reduced_axes(reading, node))
