"""How each op of ours is written in ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.graph import Node
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.batch_matmul import BatchMatmul
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.crop1d import Crop1d
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.op import ActivatedAttrs
from firmware_export.ops.reshape import Reshape
from firmware_export.ops.transpose import Transpose
from firmware_export.targets.onnx.forest import emit_forest
from firmware_export.targets.onnx.image import (
    emit_average_pool2d,
    emit_conv2d,
    emit_depthwise_conv2d,
    emit_max_pool2d,
    emit_mean,
)
from firmware_export.targets.onnx.operands import attrs_of, data_of
from firmware_export.targets.onnx.recurrent import emit_concat, emit_lstm, emit_reverse
from firmware_export.targets.onnx.writer import Writer


def emit_conv1d(writer: Writer, node: Node) -> None:
    """Conv with weight ``[C_out, C_in / groups, K]``."""
    attrs = attrs_of(node, Conv1d)
    weight = data_of(writer, node.inputs[1]).transpose(0, 2, 1)
    _emit_conv(writer, node, attrs, weight, attrs.groups)


def emit_depthwise_conv1d(writer: Writer, node: Node) -> None:
    """Conv with as many groups as channels, weight ``[C_out, 1, K]``."""
    attrs = attrs_of(node, DepthwiseConv1d)
    weight = data_of(writer, node.inputs[1]).T[:, None]
    _emit_conv(writer, node, attrs, weight, weight.shape[0] // attrs.multiplier)


def _emit_conv(writer: Writer, node: Node, attrs: Conv1d | DepthwiseConv1d, weight: NDArray[Any], groups: int) -> None:
    inputs = [
        writer.real(node.inputs[0]),
        writer.real_constant(node.inputs[1], weight, axis=0),
        writer.real_constant(node.inputs[2], data_of(writer, node.inputs[2]), axis=0),
    ]
    real = writer.node(
        "Conv",
        inputs,
        f"{node.output}/conv",
        kernel_shape=[attrs.kernel],
        strides=[attrs.stride],
        dilations=[attrs.dilation],
        pads=list(attrs.padding),
        group=groups,
    )
    writer.result(node.output, real, attrs.activation)


def emit_crop1d(writer: Writer, node: Node) -> None:
    """Slice of the last axis."""
    attrs = attrs_of(node, Crop1d)
    ends = {"starts": attrs.start, "ends": attrs.start + attrs.length, "axes": 2}
    steering = [writer.initializer(f"{node.output}/{name}", np.asarray([i], np.int64)) for name, i in ends.items()]
    writer.result(node.output, writer.node("Slice", [writer.real(node.inputs[0]), *steering], f"{node.output}/crop"))


def emit_dense(writer: Writer, node: Node) -> None:
    """Gemm with the weight transposed, ``[C_out, C_in]``."""
    inputs = [
        writer.real(node.inputs[0]),
        *(writer.real_constant(name, data_of(writer, name), axis=0) for name in node.inputs[1:]),
    ]
    real = writer.node("Gemm", inputs, f"{node.output}/gemm", transB=1)
    writer.result(node.output, real, attrs_of(node, ActivatedAttrs).activation)


def emit_max_pool1d(writer: Writer, node: Node) -> None:
    """MaxPool over the last axis."""
    attrs = attrs_of(node, MaxPool1d)
    inputs, output = [writer.real(node.inputs[0])], f"{node.output}/pool"
    pads = list(attrs.padding)
    writer.result(
        node.output,
        writer.node("MaxPool", inputs, output, kernel_shape=[attrs.kernel], strides=[attrs.stride], pads=pads),
    )


def emit_average_pool1d(writer: Writer, node: Node) -> None:
    """GlobalAveragePool where it is one (the runtime has an integer kernel for it), else AveragePool."""
    attrs = attrs_of(node, AveragePool1d)
    inputs, output = [writer.real(node.inputs[0])], f"{node.output}/pool"
    if attrs.kernel == writer.graph.values[node.inputs[0]].shape[1]:
        real = writer.node("GlobalAveragePool", inputs, output)
    else:
        real = writer.node("AveragePool", inputs, output, kernel_shape=[attrs.kernel], strides=[attrs.stride])
    writer.result(node.output, real)


def emit_add(writer: Writer, node: Node) -> None:
    """Add."""
    real = writer.node("Add", [writer.real(name) for name in node.inputs], f"{node.output}/sum")
    writer.result(node.output, real, attrs_of(node, ActivatedAttrs).activation)


def emit_add_constant(writer: Writer, node: Node) -> None:
    """Add of a constant."""
    table = data_of(writer, node.inputs[1])
    if table.ndim > 2:
        table = np.moveaxis(table, -1, 1)
    inputs = [writer.real(node.inputs[0]), writer.real_constant(node.inputs[1], table, axis=None)]
    real = writer.node("Add", inputs, f"{node.output}/sum")
    writer.result(node.output, real, attrs_of(node, ActivatedAttrs).activation)


def emit_batch_matmul(writer: Writer, node: Node) -> None:
    """MatMul of the operands as they lie in the file, transposed: (A B)^T = B^T A^T; of several heads in our order."""
    a, b = (writer.real(name) for name in node.inputs)
    turned = attrs_of(node, BatchMatmul).transpose_b
    if len(writer.graph.values[node.output].shape) == 4:
        a, b = (writer.channels_last(x, f"{node.output}/{side}", 4) for x, side in ((a, "a"), (b, "b")))
        b = writer.node("Transpose", [b], f"{node.output}/transposed", perm=[0, 1, 3, 2]) if turned else b
        product = writer.node("MatMul", [a, b], f"{node.output}/product")
        writer.result(node.output, writer.channels_first(product, f"{node.output}/first", 4))
        return
    if turned:
        b = writer.node("Transpose", [b], f"{node.output}/transposed", perm=[0, 2, 1])
    writer.result(node.output, writer.node("MatMul", [b, a], f"{node.output}/product"))


def emit_l2_norm(writer: Writer, node: Node) -> None:
    """LpNormalization over channels."""
    axis = 1 if len(writer.graph.values[node.output].shape) > 2 else -1
    real = writer.node("LpNormalization", [writer.real(node.inputs[0])], f"{node.output}/unit", axis=axis, p=2)
    writer.result(node.output, real)


def emit_relu(writer: Writer, node: Node) -> None:
    """A clamp alone."""
    writer.result(node.output, writer.real(node.inputs[0]), attrs_of(node, ActivatedAttrs).activation)


def emit_softmax(writer: Writer, node: Node) -> None:
    """Softmax over channels."""
    axis = 1 if len(writer.graph.values[node.output].shape) > 2 else -1
    writer.result(
        node.output, writer.node("Softmax", [writer.real(node.inputs[0])], f"{node.output}/softmax", axis=axis)
    )


def emit_requantize(writer: Writer, node: Node) -> None:
    """QuantizeLinear of the dequantized input."""
    writer.result(node.output, writer.real(node.inputs[0]))


def emit_reshape(writer: Writer, node: Node) -> None:
    """Reshape in our order of axes: a series is transposed to ``[1, T, C]`` before, a new series after."""
    real, shape = writer.real(node.inputs[0]), attrs_of(node, Reshape).shape
    source = writer.graph.values[node.inputs[0]].shape
    if sum(length > 1 for length in source) > 1:
        real = writer.channels_last(real, f"{node.output}/source", len(source))
    target = writer.initializer(f"{node.output}/shape", np.asarray(shape, np.int64))
    real = writer.node("Reshape", [real, target], f"{node.output}/reshaped")
    writer.result(node.output, writer.channels_first(real, f"{node.output}/target", len(shape)))


def emit_transpose(writer: Writer, node: Node) -> None:
    """Transpose in our order of axes."""
    order = attrs_of(node, Transpose).order
    plain = writer.channels_last(writer.real(node.inputs[0]), f"{node.output}/source", len(order))
    real = writer.node("Transpose", [plain], f"{node.output}/transposed", perm=list(order))
    writer.result(node.output, writer.channels_first(real, f"{node.output}/target", len(order)))


EMITTERS: Mapping[str, Callable[[Writer, Node], None]] = {
    "add": emit_add,
    "add_constant": emit_add_constant,
    "average_pool1d": emit_average_pool1d,
    "average_pool2d": emit_average_pool2d,
    "batch_matmul": emit_batch_matmul,
    "concat": emit_concat,
    "conv1d": emit_conv1d,
    "conv2d": emit_conv2d,
    "crop1d": emit_crop1d,
    "dense": emit_dense,
    "depthwise_conv1d": emit_depthwise_conv1d,
    "depthwise_conv2d": emit_depthwise_conv2d,
    "forest": emit_forest,
    "l2_norm": emit_l2_norm,
    "lstm": emit_lstm,
    "max_pool1d": emit_max_pool1d,
    "max_pool2d": emit_max_pool2d,
    "mean": emit_mean,
    "relu": emit_relu,
    "requantize": emit_requantize,
    "reshape": emit_reshape,
    "reverse": emit_reverse,
    "softmax": emit_softmax,
    "transpose": emit_transpose,
}
