"""ONNX ``Conv`` over time, dense, grouped or depthwise, and the padding rule it shares with the pools."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from firmware_export.onnx_reader.reading import CHANNELS_FIRST, Reading, Tensor, attribute, name_of
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.window1d import Padding, same_padding


def time_series(reading: Reading, node: ir.Node) -> Tensor:
    """Return input 0 if it is ``[N, C, T]`` in ONNX, ``[N, T, C]`` here."""
    x = reading.tensor(node, 0)
    if x.axes != CHANNELS_FIRST:
        raise reading.refuse(node, f"input {list(x.onnx_shape)} is not channels-first over time [N, C, T]")
    return x


def padding_of(reading: Reading, node: ir.Node, length: int, kernel: int) -> Padding:
    """Return samples before and after an input of ``length`` steps, whichever way the node states them.

    Source: ONNX Conv, ``auto_pad``.
    """
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode == "NOTSET":
        before, after = attribute(node, "pads", (0, 0))
        return int(before), int(after)
    if mode == "VALID":
        return 0, 0
    (stride,), (dilation,) = (attribute(node, name, (1,)) for name in ("strides", "dilations"))
    before, after = same_padding(length, kernel, stride, dilation)
    if mode == "SAME_UPPER":
        return before, after
    if mode == "SAME_LOWER":
        return after, before
    raise reading.refuse(node, f"auto_pad {mode!r} is not known")


def read_conv(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]``, W ``[M, C / group, k]``, B ``[M]``."""
    x = time_series(reading, node)
    weight = reading.required(node, 1)
    if weight.ndim != 3:
        raise reading.refuse(node, f"weight has shape {list(weight.shape)}, expected a 1-D convolution [M, C, k]")
    outputs, depth, kernel = weight.shape
    bias = reading.constant(node, 2)
    (stride,) = attribute(node, "strides", (1,))
    (dilation,) = attribute(node, "dilations", (1,))
    groups, channels = int(attribute(node, "group", 1)), x.shape[2]
    if depth * groups != channels or outputs % groups:
        raise reading.refuse(node, f"weight {list(weight.shape)} in {groups} groups does not fit {channels} channels")
    padding = padding_of(reading, node, x.shape[1], kernel)
    name = name_of(node.inputs[1])
    bias_name = reading.add_constant(
        f"{node.outputs[0].name}/bias" if bias is None else name_of(node.inputs[2]),
        np.zeros(outputs) if bias is None else bias,
    )
    if groups == channels and groups > 1:
        weight_name = reading.add_constant(name, weight[:, 0, :].T)
        depthwise = DepthwiseConv1d(
            kernel=kernel, stride=stride, dilation=dilation, padding=padding, multiplier=outputs // groups
        )
        reading.add(node, "depthwise_conv1d", (x.name, weight_name, bias_name), depthwise, x.axes)
        return
    weight_name = reading.add_constant(name, weight.transpose(0, 2, 1))
    dense = Conv1d(kernel=kernel, stride=stride, dilation=dilation, padding=padding, groups=groups)
    reading.add(node, "conv1d", (x.name, weight_name, bias_name), dense, x.axes)
