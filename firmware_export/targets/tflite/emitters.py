"""How each op of ours is written in TFLite. Versions are (float32, int8), from TFLite's ``op_version.cc``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgehar.errors import ExportError, UnsupportedOpError
from firmware_export.graph import Attrs, Node
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.op import ActivatedAttrs, FusedActivation
from firmware_export.ops.reshape import Reshape
from firmware_export.ops.window1d import Padding, same_padding
from firmware_export.targets.tflite.writer import Writer

A = TypeVar("A", bound=Attrs)

_CODE = schema.BuiltinOperator
_KIND = schema.BuiltinOptions
_ACTIVATIONS = {
    FusedActivation.NONE: schema.ActivationFunctionType.NONE,
    FusedActivation.RELU: schema.ActivationFunctionType.RELU,
    FusedActivation.RELU6: schema.ActivationFunctionType.RELU6,
}


def _attrs(node: Node, kind: type[A]) -> A:
    if not isinstance(node.attrs, kind):
        raise ExportError(f"node {node.name!r} ({node.op}) has attributes {node.attrs}, expected {kind.__name__}")
    return node.attrs


def emit_conv1d(writer: Writer, node: Node) -> None:
    """CONV_2D over W; groups show in the filter's depth."""
    attrs = _attrs(node, Conv1d)
    options = schema.Conv2DOptionsT()
    options.strideH, options.strideW = 1, attrs.stride
    options.dilationHFactor, options.dilationWFactor = 1, attrs.dilation
    options.fusedActivationFunction = _ACTIVATIONS[attrs.activation]
    x, options.padding = _padded_input(writer, node, attrs.kernel, attrs.stride, attrs.dilation, attrs.padding)
    outputs, kernel, depth = writer.graph.values[node.inputs[1]].shape
    weight = writer.constant(node.inputs[1], (outputs, 1, kernel, depth), axis=0)
    bias = writer.constant(node.inputs[2], (outputs,), axis=0)
    inputs, results = [x, weight, bias], [writer.tensor(node.output)]
    writer.operator(_CODE.CONV_2D, (1, 3), inputs, results, _KIND.Conv2DOptions, options)


def emit_depthwise_conv1d(writer: Writer, node: Node) -> None:
    """DEPTHWISE_CONV_2D over W."""
    attrs = _attrs(node, DepthwiseConv1d)
    options = schema.DepthwiseConv2DOptionsT()
    options.strideH = options.strideW = attrs.stride  # the optimized kernels want both alike; H is 1
    options.dilationHFactor, options.dilationWFactor = 1, attrs.dilation
    options.depthMultiplier = attrs.multiplier
    options.fusedActivationFunction = _ACTIVATIONS[attrs.activation]
    x, options.padding = _padded_input(writer, node, attrs.kernel, attrs.stride, attrs.dilation, attrs.padding)
    kernel, outputs = writer.graph.values[node.inputs[1]].shape
    weight = writer.constant(node.inputs[1], (1, 1, kernel, outputs), axis=3)
    bias = writer.constant(node.inputs[2], (outputs,), axis=0)
    versions = (1 if attrs.dilation == 1 else 2, 3)
    inputs, results = [x, weight, bias], [writer.tensor(node.output)]
    writer.operator(_CODE.DEPTHWISE_CONV_2D, versions, inputs, results, _KIND.DepthwiseConv2DOptions, options)


def emit_dense(writer: Writer, node: Node) -> None:
    """FULLY_CONNECTED, which flattens what it reads."""
    attrs = _attrs(node, ActivatedAttrs)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = _ACTIVATIONS[attrs.activation]
    shape = writer.graph.values[node.inputs[1]].shape
    weight = writer.constant(node.inputs[1], shape, axis=None)
    bias = writer.constant(node.inputs[2], shape[:1], axis=None)
    inputs, results = [writer.tensor(node.inputs[0]), weight, bias], [writer.tensor(node.output)]
    writer.operator(_CODE.FULLY_CONNECTED, (1, 4), inputs, results, _KIND.FullyConnectedOptions, options)


def emit_max_pool1d(writer: Writer, node: Node) -> None:
    """MAX_POOL_2D over W."""
    attrs = _attrs(node, MaxPool1d)
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
    _emit_pool(writer, node, _CODE.MAX_POOL_2D, attrs.kernel, attrs.stride, padding)


def emit_average_pool1d(writer: Writer, node: Node) -> None:
    """AVERAGE_POOL_2D over W, global too: TFLM's MEAN is a slow reference kernel on every core."""
    attrs = _attrs(node, AveragePool1d)
    _emit_pool(writer, node, _CODE.AVERAGE_POOL_2D, attrs.kernel, attrs.stride, schema.Padding.VALID)


def emit_add(writer: Writer, node: Node) -> None:
    """ADD of equal shapes."""
    options = schema.AddOptionsT()
    options.fusedActivationFunction = _ACTIVATIONS[_attrs(node, ActivatedAttrs).activation]
    inputs, results = [writer.tensor(name) for name in node.inputs], [writer.tensor(node.output)]
    writer.operator(_CODE.ADD, (1, 2), inputs, results, _KIND.AddOptions, options)


def emit_relu(writer: Writer, node: Node) -> None:
    """RELU or RELU6."""
    codes = {FusedActivation.RELU: _CODE.RELU, FusedActivation.RELU6: _CODE.RELU6}
    code = codes[_attrs(node, ActivatedAttrs).activation]
    inputs, results = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
    writer.operator(code, (1, 2), inputs, results, _KIND.NONE, None)


def emit_softmax(writer: Writer, node: Node) -> None:
    """SOFTMAX over the last axis."""
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    inputs, results = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
    writer.operator(_CODE.SOFTMAX, (1, 2), inputs, results, _KIND.SoftmaxOptions, options)


def emit_reshape(writer: Writer, node: Node) -> None:
    """Nothing where only FULLY_CONNECTED reads it (it flattens by itself), else RESHAPE."""
    readers = writer.graph.consumers(node.output)
    if node.output not in writer.graph.outputs and all(reader.op == "dense" for reader in readers):
        writer.alias(node.output, node.inputs[0])
        return
    shape = _attrs(node, Reshape).shape
    inner = (shape[0], 1, *shape[1:]) if len(shape) == 3 else shape
    writer.reshape(writer.tensor(node.inputs[0]), writer.tensor(node.output), inner)


def _emit_pool(writer: Writer, node: Node, code: int, kernel: int, stride: int, padding: int) -> None:
    options = schema.Pool2DOptionsT()
    options.filterHeight, options.filterWidth = 1, kernel
    options.strideH, options.strideW, options.padding = 1, stride, padding
    inputs, results = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
    writer.operator(code, (1, 2), inputs, results, _KIND.Pool2DOptions, options)


def _padded_input(
    writer: Writer, node: Node, kernel: int, stride: int, dilation: int, padding: Padding
) -> tuple[int, int]:
    """Return the convolution's input tensor and padding mode, with a PAD before it where TFLite has no mode for it."""
    x = writer.graph.values[node.inputs[0]]
    n, t, c = x.shape
    if padding == (0, 0):
        return writer.tensor(x.name), schema.Padding.VALID
    if padding == same_padding(t, kernel, stride, dilation):
        return writer.tensor(x.name), schema.Padding.SAME
    padded = writer.scratch(f"{node.output}/padded", (n, 1, t + sum(padding), c), x.name)
    amounts = writer.numbers(f"{node.output}/paddings", np.array([(0, 0), (0, 0), padding, (0, 0)]))
    writer.operator(
        _CODE.PAD, (1, 2), [writer.tensor(x.name), amounts], [padded], _KIND.PadOptions, schema.PadOptionsT()
    )
    return padded, schema.Padding.VALID


EMITTERS: Mapping[str, Callable[[Writer, Node], None]] = {
    "add": emit_add,
    "average_pool1d": emit_average_pool1d,
    "conv1d": emit_conv1d,
    "dense": emit_dense,
    "depthwise_conv1d": emit_depthwise_conv1d,
    "max_pool1d": emit_max_pool1d,
    "relu": emit_relu,
    "reshape": emit_reshape,
    "softmax": emit_softmax,
}
