"""ONNX pools over time or an image."""

from __future__ import annotations

import onnx_ir as ir

from firmware_export.graph import Attrs, Shape
from firmware_export.onnx_reader.convolution import numbers, paddings_of, spatial
from firmware_export.onnx_reader.reading import Reading, Tensor, attribute
from firmware_export.onnx_reader.shapes import drop_axes
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.average_pool2d import AveragePool2d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.max_pool2d import MaxPool2d
from firmware_export.ops.window1d import Padding


def _window(reading: Reading, node: ir.Node, x: Tensor) -> tuple[Shape, Shape, tuple[Padding, ...]]:
    """Return kernel, stride and padding of each axis, refusing what our pools cannot express."""
    lengths = x.shape[1:-1]
    kernel, stride, dilation = (
        numbers(reading, node, name, len(lengths)) for name in ("kernel_shape", "strides", "dilations")
    )
    if set(dilation) != {1}:
        raise reading.refuse(node, f"dilations {list(dilation)} are not supported, expected 1")
    padding = paddings_of(reading, node, lengths, kernel)
    left_over = [
        (length + sum(pads) - k) % s for length, pads, k, s in zip(lengths, padding, kernel, stride, strict=True)
    ]
    if attribute(node, "ceil_mode", 0) and any(left_over):
        raise reading.refuse(node, f"ceil_mode with {left_over} samples left over is not supported; set it to false")
    return kernel, stride, padding


def read_max_pool(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]`` or ``[N, C, H, W]``."""
    x = spatial(reading, node)
    if len(node.outputs) > 1 and node.outputs[1].uses():
        raise reading.refuse(node, "its second output (indices) is used, which is not supported")
    kernel, stride, padding = _window(reading, node, x)
    if len(kernel) == 1:
        reading.add(node, "max_pool1d", (x.name,), MaxPool1d(kernel[0], stride[0], padding[0]), x.axes)
        return
    (height, width), (down, across), (rows, columns) = kernel, stride, padding
    attrs = MaxPool2d((height, width), (down, across), (rows, columns))
    reading.add(node, "max_pool2d", (x.name,), attrs, x.axes)


def read_average_pool(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]`` or ``[N, C, H, W]``, without padding."""
    x = spatial(reading, node)
    kernel, stride, padding = _window(reading, node, x)
    if any(map(any, padding)):
        raise reading.refuse(node, f"padding {list(padding)} of an average pool is not supported, expected none")
    reading.add(node, *_average(x, kernel, stride), x.axes)


def _average(x: Tensor, kernel: Shape, stride: Shape) -> tuple[str, tuple[str], Attrs]:
    if len(kernel) == 1:
        return "average_pool1d", (x.name,), AveragePool1d(kernel[0], stride[0])
    (height, width), (down, across) = kernel, stride
    return "average_pool2d", (x.name,), AveragePool2d((height, width), (down, across))


def _largest(x: Tensor) -> tuple[str, tuple[str], Attrs]:
    """Of everything between N and channels."""
    if len(x.shape) == 3:
        return "max_pool1d", (x.name,), MaxPool1d(x.shape[1], x.shape[1])
    size = x.shape[1], x.shape[2]
    return "max_pool2d", (x.name,), MaxPool2d(size, size)


def read_global_average_pool(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]`` to ``[N, C, 1]``, ``[N, C, H, W]`` to ``[N, C, 1, 1]``."""
    x = spatial(reading, node)
    reading.add(node, *_average(x, x.shape[1:-1], x.shape[1:-1]), x.axes)


def read_global_max_pool(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]`` to ``[N, C, 1]``, ``[N, C, H, W]`` to ``[N, C, 1, 1]``."""
    x = spatial(reading, node)
    reading.add(node, *_largest(x), x.axes)


def read_reduce_mean(reading: Reading, node: ir.Node) -> None:
    """Mean over time alone, or over height and width: a global average pool."""
    x = _reduced(reading, node)
    _reduce(reading, node, _average(x, x.shape[1:-1], x.shape[1:-1]))


def read_reduce_max(reading: Reading, node: ir.Node) -> None:
    """Maximum over time alone, or over height and width: a global max pool."""
    _reduce(reading, node, _largest(_reduced(reading, node)))


def _reduced_axes(reading: Reading, node: ir.Node) -> set[int]:
    """Return the axes in the file; they are input 1 (opset 18 on) or an attribute."""
    given = reading.constant(node, 1)
    axes = attribute(node, "axes", ()) if given is None else given.reshape(-1).tolist()
    return {int(axis) % len(reading.tensor(node, 0).axes) for axis in axes}


def _reduced(reading: Reading, node: ir.Node) -> Tensor:
    """Return the input if all that is reduced, besides axes of 1 that only the file has, lies before its channels."""
    x, axes = reading.tensor(node, 0), _reduced_axes(reading, node)
    expected = set(range(1, len(x.shape) - 1))
    if not expected or {x.axes[i] for i in axes} - {None} != expected:
        raise reading.refuse(
            node, f"{list(x.onnx_shape)} reduced over axes {sorted(axes)}, expected time alone, or height and width"
        )
    return x


def _reduce(reading: Reading, node: ir.Node, made: tuple[str, tuple[str], Attrs]) -> None:
    x = reading.tensor(node, 0)
    if attribute(node, "keepdims", 1):
        reading.add(node, *made, x.axes)
        return
    pooled = reading.add(node, *made, x.axes, output=f"{node.outputs[0].name}/pooled")
    drop_axes(reading, node, pooled, _reduced_axes(reading, node))
