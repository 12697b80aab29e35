"""ONNX ``Conv`` over time or an image, dense, grouped or depthwise, and the padding rule it shares with the pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from firmware_export.graph import Attrs, Shape
from firmware_export.onnx_reader.reading import CHANNELS_FIRST, IMAGE, Reading, Tensor, attribute, name_of
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.conv2d import Conv2d
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.ops.depthwise_conv2d import DepthwiseConv2d
from firmware_export.ops.window1d import Padding, same_padding
from firmware_export.ops.window2d import Padding2d, Pair


def spatial(reading: Reading, node: ir.Node) -> Tensor:
    """Return input 0 if it is ``[N, C, T]`` in ONNX, ``[N, T, C]`` here, or ``[N, C, H, W]`` and ``[N, H, W, C]``."""
    x = reading.tensor(node, 0)
    if x.axes not in (CHANNELS_FIRST, IMAGE):
        raise reading.refuse(
            node, f"input {list(x.onnx_shape)} is not channels-first, over time [N, C, T] or an image [N, C, H, W]"
        )
    return x


def numbers(reading: Reading, node: ir.Node, name: str, axes: int) -> tuple[int, ...]:
    """Return ``strides``, ``dilations`` or ``kernel_shape``, one an axis; 1 each where the node does not state them."""
    found = tuple(int(i) for i in attribute(node, name, (1,) * axes))
    if len(found) != axes or min(found) < 1:
        raise reading.refuse(node, f"{name} {list(found)}, expected {axes} positive numbers")
    return found


def paddings_of(reading: Reading, node: ir.Node, lengths: Shape, kernel: Shape) -> tuple[Padding, ...]:
    """Return samples before and after each axis, whichever way the node states them.

    Source: ONNX Conv, ``auto_pad``.
    """
    mode = attribute(node, "auto_pad", "NOTSET")
    axes = len(lengths)
    if mode == "NOTSET":
        pads = [int(i) for i in attribute(node, "pads", (0,) * 2 * axes)]
        if len(pads) != 2 * axes or min(pads) < 0:
            raise reading.refuse(node, f"pads {pads}, expected {2 * axes} numbers from 0 on")
        return tuple(zip(pads[:axes], pads[axes:], strict=True))
    if mode == "VALID":
        return ((0, 0),) * axes
    strides, dilations = (numbers(reading, node, name, axes) for name in ("strides", "dilations"))
    same = tuple(same_padding(*axis) for axis in zip(lengths, kernel, strides, dilations, strict=True))
    if mode == "SAME_UPPER":
        return same
    if mode == "SAME_LOWER":
        return tuple((after, before) for before, after in same)
    raise reading.refuse(node, f"auto_pad {mode!r} is not known")


def read_conv(reading: Reading, node: ir.Node) -> None:
    """X ``[N, C, T]``, W ``[M, C / group, k]``, B ``[M]``; or X ``[N, C, H, W]``, W ``[M, C / group, k_h, k_w]``."""
    x = spatial(reading, node)
    weight = reading.required(node, 1)
    if weight.ndim != len(x.shape):
        raise reading.refuse(
            node, f"weight has shape {list(weight.shape)}, the input {list(x.onnx_shape)}; expected as many axes"
        )
    outputs, depth, *kernel = weight.shape
    bias = reading.constant(node, 2)
    groups, channels = int(attribute(node, "group", 1)), x.shape[-1]
    if groups < 1 or depth * groups != channels or outputs % groups:
        raise reading.refuse(node, f"weight {list(weight.shape)} in {groups} groups does not fit {channels} channels")
    bias_name = reading.add_constant(
        f"{node.outputs[0].name}/bias" if bias is None else name_of(node.inputs[2]),
        np.zeros(outputs) if bias is None else bias,
    )
    depthwise = groups == channels and groups > 1
    weight = np.moveaxis(weight[:, 0], 0, -1) if depthwise else np.moveaxis(weight, 1, -1)
    names = (x.name, reading.add_constant(name_of(node.inputs[1]), weight), bias_name)
    window = _Window(
        tuple(kernel),
        numbers(reading, node, "strides", len(kernel)),
        numbers(reading, node, "dilations", len(kernel)),
        paddings_of(reading, node, x.shape[1:-1], tuple(kernel)),
    )
    attrs = window.depthwise(outputs // groups) if depthwise else window.dense(groups)
    if attrs is None:
        raise reading.refuse(node, f"{groups} groups over an image, expected 1 or one a channel ({channels})")
    reading.add(node, _OPS[type(attrs)], names, attrs, x.axes)


@dataclass(frozen=True)
class _Window:
    """How a kernel slides, each setting one an axis."""

    kernel: Shape
    stride: Shape
    dilation: Shape
    padding: tuple[Padding, ...]

    def dense(self, groups: int) -> Attrs | None:
        """Return the settings of a convolution, None if there is no such op."""
        if len(self.kernel) == 1:
            (kernel,), (stride,), (dilation,), (padding,) = self.kernel, self.stride, self.dilation, self.padding
            return Conv1d(kernel=kernel, stride=stride, dilation=dilation, padding=padding, groups=groups)
        kernel2d, stride2d, dilation2d, padding2d = self._pairs()
        if groups != 1:
            return None
        return Conv2d(kernel=kernel2d, stride=stride2d, dilation=dilation2d, padding=padding2d)

    def depthwise(self, multiplier: int) -> Attrs:
        """Return the settings of a depthwise convolution."""
        if len(self.kernel) == 1:
            (kernel,), (stride,), (dilation,), (padding,) = self.kernel, self.stride, self.dilation, self.padding
            return DepthwiseConv1d(
                kernel=kernel, stride=stride, dilation=dilation, padding=padding, multiplier=multiplier
            )
        kernel2d, stride2d, dilation2d, padding2d = self._pairs()
        return DepthwiseConv2d(
            kernel=kernel2d, stride=stride2d, dilation=dilation2d, padding=padding2d, multiplier=multiplier
        )

    def _pairs(self) -> tuple[Pair, Pair, Pair, Padding2d]:
        (a, b), (c, d), (e, f), (g, h) = self.kernel, self.stride, self.dilation, self.padding
        return (a, b), (c, d), (e, f), (g, h)


_OPS: Mapping[type[Attrs], str] = {
    Conv1d: "conv1d",
    Conv2d: "conv2d",
    DepthwiseConv1d: "depthwise_conv1d",
    DepthwiseConv2d: "depthwise_conv2d",
}
