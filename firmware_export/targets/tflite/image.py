"""How the ops of images are written in TFLite, as they are there; ``mean`` and ``transpose`` of series too."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from edgehar.errors import UnsupportedOpError
from firmware_export.graph import Node
from firmware_export.ops.average_pool2d import AveragePool2d
from firmware_export.ops.conv2d import Conv2d
from firmware_export.ops.depthwise_conv2d import DepthwiseConv2d
from firmware_export.ops.max_pool2d import MaxPool2d
from firmware_export.ops.transpose import Transpose
from firmware_export.ops.window1d import same_padding
from firmware_export.ops.window2d import NO_PADDING, Padding2d, Pair
from firmware_export.targets.tflite.attrs import ACTIVATIONS, attrs_of
from firmware_export.targets.tflite.writer import Writer

_CODE = schema.BuiltinOperator
_KIND = schema.BuiltinOptions


def emit_conv2d(writer: Writer, node: Node) -> None:
    """CONV_2D."""
    attrs = attrs_of(node, Conv2d)
    options = schema.Conv2DOptionsT()
    options.strideH, options.strideW = attrs.stride
    options.dilationHFactor, options.dilationWFactor = attrs.dilation
    options.fusedActivationFunction = ACTIVATIONS[attrs.activation]
    x, options.padding = _padded_input(writer, node, attrs)
    weight = writer.constant(node.inputs[1], writer.graph.values[node.inputs[1]].shape, axis=0)
    bias = writer.constant(node.inputs[2], writer.graph.values[node.inputs[2]].shape, axis=0)
    inputs, results = [x, weight, bias], [writer.tensor(node.output)]
    writer.operator(_CODE.CONV_2D, inputs, results, (_KIND.Conv2DOptions, options))


def emit_depthwise_conv2d(writer: Writer, node: Node) -> None:
    """DEPTHWISE_CONV_2D."""
    attrs = attrs_of(node, DepthwiseConv2d)
    options = schema.DepthwiseConv2DOptionsT()
    options.strideH, options.strideW = attrs.stride
    options.dilationHFactor, options.dilationWFactor = attrs.dilation
    options.depthMultiplier = attrs.multiplier
    options.fusedActivationFunction = ACTIVATIONS[attrs.activation]
    x, options.padding = _padded_input(writer, node, attrs)
    weight = writer.constant(node.inputs[1], (1, *writer.graph.values[node.inputs[1]].shape), axis=3)
    bias = writer.constant(node.inputs[2], writer.graph.values[node.inputs[2]].shape, axis=0)
    inputs, results = [x, weight, bias], [writer.tensor(node.output)]
    writer.operator(_CODE.DEPTHWISE_CONV_2D, inputs, results, (_KIND.DepthwiseConv2DOptions, options))


def emit_max_pool2d(writer: Writer, node: Node) -> None:
    """MAX_POOL_2D."""
    attrs = attrs_of(node, MaxPool2d)
    same = _same(writer, node, attrs.kernel, attrs.stride, (1, 1))
    if attrs.padding not in (NO_PADDING, same):
        raise UnsupportedOpError(
            f"target 'tflite': max pool {node.name!r} pads {attrs.padding}, expected none or {same} (SAME); "
            "change the pool's padding"
        )
    padding = schema.Padding.VALID if attrs.padding == NO_PADDING else schema.Padding.SAME
    _emit_pool(writer, node, _CODE.MAX_POOL_2D, attrs, padding)


def emit_average_pool2d(writer: Writer, node: Node) -> None:
    """AVERAGE_POOL_2D."""
    _emit_pool(writer, node, _CODE.AVERAGE_POOL_2D, attrs_of(node, AveragePool2d), schema.Padding.VALID)


def emit_mean(writer: Writer, node: Node) -> None:
    """MEAN over everything between N and channels."""
    options = schema.ReducerOptionsT()
    options.keepDims = False
    x = writer.plain(node.inputs[0])
    axes = writer.numbers(f"{node.output}/axes", list(range(1, len(writer.shape(x)) - 1)))
    writer.operator(_CODE.MEAN, [x, axes], [writer.plain(node.output)], (_KIND.ReducerOptions, options))


def emit_transpose(writer: Writer, node: Node) -> None:
    """TRANSPOSE of the plain form."""
    order = writer.numbers(f"{node.output}/order", attrs_of(node, Transpose).order)
    inputs, results = [writer.plain(node.inputs[0]), order], [writer.plain(node.output)]
    writer.operator(_CODE.TRANSPOSE, inputs, results, (_KIND.TransposeOptions, schema.TransposeOptionsT()))


def _emit_pool(writer: Writer, node: Node, code: int, attrs: MaxPool2d | AveragePool2d, padding: int) -> None:
    options = schema.Pool2DOptionsT()
    options.filterHeight, options.filterWidth = attrs.kernel
    options.strideH, options.strideW = attrs.stride
    options.padding = padding
    inputs, results = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
    writer.operator(code, inputs, results, (_KIND.Pool2DOptions, options))


def _same(writer: Writer, node: Node, kernel: Pair, stride: Pair, dilation: Pair) -> Padding2d:
    size = writer.graph.values[node.inputs[0]].shape[1:3]
    above, left = (same_padding(*axis) for axis in zip(size, kernel, stride, dilation, strict=True))
    return above, left


def _padded_input(writer: Writer, node: Node, attrs: Conv2d | DepthwiseConv2d) -> tuple[int, int]:
    """Return the convolution's input tensor and padding mode, with a PAD before it where TFLite has no mode for it."""
    x = writer.tensor(node.inputs[0])
    if attrs.padding == NO_PADDING:
        return x, schema.Padding.VALID
    if attrs.padding == _same(writer, node, attrs.kernel, attrs.stride, attrs.dilation):
        return x, schema.Padding.SAME
    n, h, w, c = writer.shape(x)
    (above, below), (left, right) = attrs.padding
    padded = writer.scratch(f"{node.output}/padded", (n, h + above + below, w + left + right, c), node.inputs[0])
    amounts = writer.numbers(f"{node.output}/paddings", [(0, 0), *attrs.padding, (0, 0)])
    writer.operator(_CODE.PAD, [x, amounts], [padded], (_KIND.PadOptions, schema.PadOptionsT()))
    return padded, schema.Padding.VALID
