"""ONNX pools over time."""

from __future__ import annotations

import onnx_ir as ir

from firmware_export.onnx_reader.convolution import padding_of, time_series
from firmware_export.onnx_reader.reading import Order, Reading, Tensor, attribute
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.reshape import Reshape
from firmware_export.ops.window1d import Padding


def _window(reading: Reading, node: ir.Node, x: Tensor) -> tuple[int, int, Padding]:
    """Return kernel, stride and padding, refusing what our pools cannot express."""
    (kernel,) = attribute(node, "kernel_shape", ())
    (stride,) = attribute(node, "strides", (1,))
    (dilation,) = attribute(node, "dilations", (1,))
    if dilation != 1:
        raise reading.refuse(node, f"dilation {dilation} is not supported, expected 1")
    before, after = padding_of(reading, node, x.shape[1])
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
    reading.add(node, "max_pool1d", (x.name,), MaxPool1d(kernel, stride, padding), x.order)


def read_average_pool(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]``, without padding."""
    x = time_series(reading, node)
    kernel, stride, padding = _window(reading, node, x)
    if padding != (0, 0):
        raise reading.refuse(node, f"padding {padding} of an average pool is not supported, expected none")
    reading.add(node, "average_pool1d", (x.name,), AveragePool1d(kernel, stride), x.order)


def read_global_average_pool(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]`` to ``[N, C, 1]``."""
    x = time_series(reading, node)
    reading.add(node, "average_pool1d", (x.name,), AveragePool1d(x.shape[1], x.shape[1]), x.order)


def read_reduce_mean(reading: Reading, node: ir.Node) -> None:
    """Mean over time only, which is a global average pool; axes are input 1 (opset 18 on) or an attribute."""
    x = reading.tensor(node, 0)
    given = reading.constant(node, 1)
    axes = attribute(node, "axes", ()) if given is None else given.tolist()
    time_axis = 2 if x.order is Order.CHANNELS_FIRST else 1
    if len(x.shape) != 3 or [axis % 3 for axis in axes] != [time_axis]:
        raise reading.refuse(
            node, f"mean of {list(x.onnx_shape)} over axes {list(axes)}, expected a mean over time alone"
        )
    attrs = AveragePool1d(x.shape[1], x.shape[1])
    if attribute(node, "keepdims", 1):
        reading.add(node, "average_pool1d", (x.name,), attrs, x.order)
        return
    pooled = reading.add(node, "average_pool1d", (x.name,), attrs, x.order, output=f"{node.outputs[0].name}/pooled")
    reading.add(node, "reshape", (pooled.name,), Reshape((1, x.shape[2])), Order.SAME)
