"""How the ops of images are written in ONNX, on ``[1, C, H, W]``; ``mean`` of a series too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.graph import Node
from firmware_export.ops.average_pool2d import AveragePool2d
from firmware_export.ops.conv2d import Conv2d
from firmware_export.ops.depthwise_conv2d import DepthwiseConv2d
from firmware_export.ops.max_pool2d import MaxPool2d
from firmware_export.ops.window2d import Padding2d
from firmware_export.targets.onnx.operands import attrs_of, data_of
from firmware_export.targets.onnx.writer import Writer


def emit_conv2d(writer: Writer, node: Node) -> None:
    """Conv with weight ``[C_out, C_in, K_h, K_w]``."""
    _emit_conv(writer, node, attrs_of(node, Conv2d), data_of(writer, node.inputs[1]).transpose(0, 3, 1, 2), 1)


def emit_depthwise_conv2d(writer: Writer, node: Node) -> None:
    """Conv with as many groups as channels, weight ``[C_out, 1, K_h, K_w]``."""
    attrs = attrs_of(node, DepthwiseConv2d)
    weight = data_of(writer, node.inputs[1]).transpose(2, 0, 1)[:, None]
    _emit_conv(writer, node, attrs, weight, len(weight) // attrs.multiplier)


def emit_max_pool2d(writer: Writer, node: Node) -> None:
    """MaxPool."""
    attrs = attrs_of(node, MaxPool2d)
    settings = {"kernel_shape": attrs.kernel, "strides": attrs.stride, "pads": _pads(attrs.padding)}
    writer.result(node.output, writer.node("MaxPool", [writer.real(node.inputs[0])], f"{node.output}/pool", **settings))


def emit_average_pool2d(writer: Writer, node: Node) -> None:
    """GlobalAveragePool where it is one (the runtime has an integer kernel for it), else AveragePool."""
    attrs = attrs_of(node, AveragePool2d)
    inputs, output = [writer.real(node.inputs[0])], f"{node.output}/pool"
    if attrs.kernel == writer.graph.values[node.inputs[0]].shape[1:3]:
        real = writer.node("GlobalAveragePool", inputs, output)
    else:
        real = writer.node("AveragePool", inputs, output, kernel_shape=attrs.kernel, strides=attrs.stride)
    writer.result(node.output, real)


def emit_mean(writer: Writer, node: Node) -> None:
    """ReduceMean over everything after the channels."""
    rank = len(writer.graph.values[node.inputs[0]].shape)
    axes = writer.initializer(f"{node.output}/axes", np.arange(2, rank, dtype=np.int64))
    inputs = [writer.real(node.inputs[0]), axes]
    writer.result(node.output, writer.node("ReduceMean", inputs, f"{node.output}/mean", keepdims=0))


def _emit_conv(writer: Writer, node: Node, attrs: Conv2d | DepthwiseConv2d, weight: NDArray[Any], groups: int) -> None:
    inputs = [
        writer.real(node.inputs[0]),
        writer.real_constant(node.inputs[1], weight, axis=0),
        writer.real_constant(node.inputs[2], data_of(writer, node.inputs[2]), axis=0),
    ]
    real = writer.node(
        "Conv",
        inputs,
        f"{node.output}/conv",
        kernel_shape=attrs.kernel,
        strides=attrs.stride,
        dilations=attrs.dilation,
        pads=_pads(attrs.padding),
        group=groups,
    )
    writer.result(node.output, real, attrs.activation)


def _pads(padding: Padding2d) -> list[int]:
    """Return the four amounts in ONNX's order: all begins, then all ends."""
    return [axis[end] for end in (0, 1) for axis in padding]
