"""How each op of ours is written in TFLite."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ai_edge_litert import schema_py_generated as schema

from edgehar.errors import ExportError, UnsupportedOpError
from firmware_export.graph import Node
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.batch_matmul import BatchMatmul
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.crop1d import Crop1d
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.op import ActivatedAttrs, FusedActivation
from firmware_export.ops.window1d import same_padding
from firmware_export.targets.tflite.attrs import ACTIVATIONS, attrs_of
from firmware_export.targets.tflite.forest import emit_forest
from firmware_export.targets.tflite.image import (
    emit_average_pool2d,
    emit_conv2d,
    emit_depthwise_conv2d,
    emit_max_pool2d,
    emit_mean,
    emit_transpose,
)
from firmware_export.targets.tflite.recurrent import emit_concat, emit_lstm, emit_reverse
from firmware_export.targets.tflite.writer import Writer, inner_shape

_CODE = schema.BuiltinOperator
_KIND = schema.BuiltinOptions


def emit_conv1d(writer: Writer, node: Node) -> None:
    """CONV_2D over W; groups show in the filter's depth."""
    attrs = attrs_of(node, Conv1d)
    options = schema.Conv2DOptionsT()
    options.strideH, options.strideW = 1, attrs.stride
    options.dilationHFactor, options.dilationWFactor = 1, attrs.dilation
    options.fusedActivationFunction = ACTIVATIONS[attrs.activation]
    x, options.padding = _padded_input(writer, node, attrs)
    outputs, kernel, depth = writer.graph.values[node.inputs[1]].shape
    weight = writer.constant(node.inputs[1], (outputs, 1, kernel, depth), axis=0)
    bias = writer.constant(node.inputs[2], (outputs,), axis=0)
    inputs, results = [x, weight, bias], [writer.tensor(node.output)]
    writer.operator(_CODE.CONV_2D, inputs, results, (_KIND.Conv2DOptions, options))


def emit_depthwise_conv1d(writer: Writer, node: Node) -> None:
    """DEPTHWISE_CONV_2D over W."""
    attrs = attrs_of(node, DepthwiseConv1d)
    options = schema.DepthwiseConv2DOptionsT()
    options.strideH = options.strideW = attrs.stride  # the optimized kernels want both alike; H is 1
    options.dilationHFactor, options.dilationWFactor = 1, attrs.dilation
    options.depthMultiplier = attrs.multiplier
    options.fusedActivationFunction = ACTIVATIONS[attrs.activation]
    x, options.padding = _padded_input(writer, node, attrs)
    kernel, outputs = writer.graph.values[node.inputs[1]].shape
    weight = writer.constant(node.inputs[1], (1, 1, kernel, outputs), axis=3)
    bias = writer.constant(node.inputs[2], (outputs,), axis=0)
    inputs, results = [x, weight, bias], [writer.tensor(node.output)]
    writer.operator(_CODE.DEPTHWISE_CONV_2D, inputs, results, (_KIND.DepthwiseConv2DOptions, options))


def emit_crop1d(writer: Writer, node: Node) -> None:
    """SLICE along W."""
    attrs = attrs_of(node, Crop1d)
    x, y = writer.tensor(node.inputs[0]), writer.tensor(node.output)
    begin = writer.numbers(f"{node.output}/begin", (0, 0, attrs.start, 0))
    size = writer.numbers(f"{node.output}/size", writer.shape(y))
    writer.operator(_CODE.SLICE, [x, begin, size], [y], (_KIND.SliceOptions, schema.SliceOptionsT()))


def emit_dense(writer: Writer, node: Node) -> None:
    """CONV_2D whose kernel covers all of its input, flattened or not.

    Not FULLY_CONNECTED: LiteRT's reference kernel rounds that one once where TFLM and CMSIS-NN round twice (LiteRT
    2.3 against TFLM of October 2026: one int8 output in 2,000 differs), and old readers refuse it one scale a channel.
    Convolutions give the same bits everywhere.
    """
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    options.padding = schema.Padding.VALID
    options.fusedActivationFunction = ACTIVATIONS[attrs_of(node, ActivatedAttrs).activation]
    x = writer.tensor(node.inputs[0])
    outputs = writer.graph.values[node.output].shape[1]
    weight = writer.constant(node.inputs[1], (outputs, *writer.shape(x)[1:]), axis=0)
    bias = writer.constant(node.inputs[2], (outputs,), axis=0)
    inputs, results = [x, weight, bias], [writer.tensor(node.output)]
    writer.operator(_CODE.CONV_2D, inputs, results, (_KIND.Conv2DOptions, options))


def emit_max_pool1d(writer: Writer, node: Node) -> None:
    """MAX_POOL_2D over W."""
    attrs = attrs_of(node, MaxPool1d)
    length = writer.graph.values[node.inputs[0]].shape[1]
    if attrs.padding == (0, 0):
        padding = schema.Padding.VALID
    elif attrs.padding == same_padding(length, attrs.kernel, attrs.stride, 1):
        padding = schema.Padding.SAME
    else:
        raise UnsupportedOpError(
            f"target 'tflite': max pool {node.name!r} pads {attrs.padding}, expected none or "
            f"{same_padding(length, attrs.kernel, attrs.stride, 1)} (SAME); change the pool's padding"
        )
    _emit_pool(writer, node, _CODE.MAX_POOL_2D, padding)


def emit_average_pool1d(writer: Writer, node: Node) -> None:
    """AVERAGE_POOL_2D over W, global too: TFLM's MEAN is a slow reference kernel on every core."""
    _emit_pool(writer, node, _CODE.AVERAGE_POOL_2D, schema.Padding.VALID)


def emit_add(writer: Writer, node: Node) -> None:
    """ADD of equal shapes."""
    options = schema.AddOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[attrs_of(node, ActivatedAttrs).activation]
    inputs, results = [writer.tensor(name) for name in node.inputs], [writer.tensor(node.output)]
    writer.operator(_CODE.ADD, inputs, results, (_KIND.AddOptions, options))


def emit_add_constant(writer: Writer, node: Node) -> None:
    """ADD whose second tensor is constant."""
    options = schema.AddOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[attrs_of(node, ActivatedAttrs).activation]
    x = writer.tensor(node.inputs[0])
    inputs = [x, writer.constant(node.inputs[1], writer.shape(x), axis=0)]
    writer.operator(_CODE.ADD, inputs, [writer.tensor(node.output)], (_KIND.AddOptions, options))


def emit_batch_matmul(writer: Writer, node: Node) -> None:
    """BATCH_MATMUL of the last two axes."""
    options = schema.BatchMatMulOptionsT()
    options.adjX, options.adjY = False, attrs_of(node, BatchMatmul).transpose_b
    inputs, results = [writer.tensor(name) for name in node.inputs], [writer.tensor(node.output)]
    writer.operator(_CODE.BATCH_MATMUL, inputs, results, (_KIND.BatchMatMulOptions, options))


def emit_l2_norm(writer: Writer, node: Node) -> None:
    """L2_NORMALIZATION over the last axis."""
    inputs, results = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
    writer.operator(_CODE.L2_NORMALIZATION, inputs, results, (_KIND.L2NormOptions, schema.L2NormOptionsT()))


def emit_relu(writer: Writer, node: Node) -> None:
    """RELU or RELU6."""
    codes = {FusedActivation.RELU: _CODE.RELU, FusedActivation.RELU6: _CODE.RELU6}
    code = codes[attrs_of(node, ActivatedAttrs).activation]
    inputs, results = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
    writer.operator(code, inputs, results, (_KIND.NONE, None))


def emit_softmax(writer: Writer, node: Node) -> None:
    """SOFTMAX over the last axis."""
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    inputs, results = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
    writer.operator(_CODE.SOFTMAX, inputs, results, (_KIND.SoftmaxOptions, options))


def emit_requantize(writer: Writer, node: Node) -> None:
    """QUANTIZE of integers; nothing in a float file."""
    if writer.graph.values[node.output].quant is None:
        writer.alias(node.output, node.inputs[0])
        return
    form = writer.plain if writer.is_plain(node.inputs[0]) else writer.tensor
    inputs, results = [form(node.inputs[0])], [form(node.output)]
    writer.operator(_CODE.QUANTIZE, inputs, results, (_KIND.QuantizeOptions, schema.QuantizeOptionsT()))


def emit_reshape(writer: Writer, node: Node) -> None:
    """Nothing where the inner shapes are equal or only dense layers read it (they take any shape), else RESHAPE."""
    readers = writer.graph.consumers(node.output)
    flattened = node.output not in writer.graph.outputs and all(reader.op == "dense" for reader in readers)
    if flattened or inner_shape(writer.graph.values[node.output].shape) == writer.shape(writer.tensor(node.inputs[0])):
        writer.alias(node.output, node.inputs[0])
        return
    writer.reshape(writer.tensor(node.inputs[0]), writer.tensor(node.output))


def _emit_pool(writer: Writer, node: Node, code: int, padding: int) -> None:
    attrs = node.attrs
    if not isinstance(attrs, MaxPool1d | AveragePool1d):
        raise ExportError(f"node {node.name!r} ({node.op}) has attributes {attrs}, expected those of a pool")
    options = schema.Pool2DOptionsT()
    options.filterHeight, options.filterWidth = 1, attrs.kernel
    options.strideH, options.strideW, options.padding = 1, attrs.stride, padding
    inputs, results = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
    writer.operator(code, inputs, results, (_KIND.Pool2DOptions, options))


def _padded_input(writer: Writer, node: Node, attrs: Conv1d | DepthwiseConv1d) -> tuple[int, int]:
    """Return the convolution's input tensor and padding mode, with a PAD before it where TFLite has no mode for it."""
    x = writer.graph.values[node.inputs[0]]
    n, t, c = x.shape
    before, after = attrs.padding
    if attrs.padding == (0, 0):
        return writer.tensor(x.name), schema.Padding.VALID
    if attrs.padding == same_padding(t, attrs.kernel, attrs.stride, attrs.dilation):
        return writer.tensor(x.name), schema.Padding.SAME
    padded = writer.scratch(f"{node.output}/padded", (n, 1, t + before + after, c), x.name)
    amounts = writer.numbers(f"{node.output}/paddings", [(0, 0), (0, 0), (before, after), (0, 0)])
    writer.operator(_CODE.PAD, [writer.tensor(x.name), amounts], [padded], (_KIND.PadOptions, schema.PadOptionsT()))
    return padded, schema.Padding.VALID


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
