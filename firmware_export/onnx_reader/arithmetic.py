"""ONNX operators on each number: normalization, arithmetic with constants or a second activation, clamps, softmax."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from firmware_export.onnx_reader.reading import (
    CHANNELS_FIRST,
    IMAGE,
    SERIES,
    Reading,
    Tensor,
    attribute,
    constant_of,
    name_of,
)
from firmware_export.ops.add import Add
from firmware_export.ops.add_constant import AddConstant
from firmware_export.ops.batch_norm import BatchNorm
from firmware_export.ops.l2_norm import SHORTEST, L2Norm
from firmware_export.ops.op import FusedActivation
from firmware_export.ops.relu import Relu
from firmware_export.ops.softmax import Softmax


def read_batch_normalization(reading: Reading, node: ir.Node) -> None:
    """``(X - mean) / sqrt(var + epsilon) * scale + B``. Source: ONNX BatchNormalization."""
    x = reading.tensor(node, 0)
    if len(x.shape) > 2 and x.axes not in (CHANNELS_FIRST, IMAGE):
        raise reading.refuse(node, f"input {list(x.onnx_shape)} is not channels-first [N, C, T] or [N, C, H, W]")
    gamma, beta, mean, variance = (reading.required(node, i).astype(np.float64) for i in range(1, 5))
    scale = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    _scale_and_offset(reading, node, x, scale, beta - mean * scale)


def read_add(reading: Reading, node: ir.Node) -> None:
    """Two activations, or one and a constant: one number a channel, or a table of all steps and channels."""
    if any(v is not None and constant_of(v) is not None for v in node.inputs):
        if _add_table(reading, node):
            return
        x, vector = _with_constant(reading, node)
        _scale_and_offset(reading, node, x, np.ones_like(vector), vector)
        return
    a, b = reading.tensor(node, 0), reading.tensor(node, 1)
    if a.axes != b.axes or a.shape != b.shape or a.steps != b.steps:
        raise reading.refuse(
            node, f"sum of {list(a.onnx_shape)} and {list(b.onnx_shape)}, expected one shape and one order of axes"
        )
    reading.add(node, "add", (a.name, b.name), Add(), a.axes, steps=a.steps)


def read_mul(reading: Reading, node: ir.Node) -> None:
    """One activation times a constant a channel."""
    x, vector = _with_constant(reading, node)
    _scale_and_offset(reading, node, x, vector, np.zeros_like(vector))


def read_sub(reading: Reading, node: ir.Node) -> None:
    """An activation minus a constant a channel."""
    _constant_is_second(reading, node)
    x, vector = _with_constant(reading, node)
    _scale_and_offset(reading, node, x, np.ones_like(vector), -vector)


def read_div(reading: Reading, node: ir.Node) -> None:
    """An activation divided by a constant a channel, or by its columns' own length."""
    _constant_is_second(reading, node)
    length_of = reading.lengths.get(name_of(node.inputs[1]))
    if length_of is not None:
        if length_of != reading.tensor(node, 0):
            raise reading.refuse(node, "division by the length of another activation's columns")
        reading.add(node, "l2_norm", (length_of.name,), L2Norm(), length_of.axes)
        return
    x, vector = _with_constant(reading, node)
    if not vector.all():
        raise reading.refuse(node, "the divisor holds a zero")
    _scale_and_offset(reading, node, x, 1 / vector, np.zeros_like(vector))


def read_relu(reading: Reading, node: ir.Node) -> None:
    """``max(X, 0)``."""
    _clamp(reading, node, FusedActivation.RELU)


def read_clip(reading: Reading, node: ir.Node) -> None:
    """A clamp to 0..6 (ReLU6) or to 0 and above (ReLU), or of a length that is about to divide."""
    lifted = reading.lengths.get(name_of(node.inputs[0]))
    limits: list[float | None] = []
    for index, name in ((1, "min"), (2, "max")):
        given = reading.constant(node, index)
        limits.append(attribute(node, name, None) if given is None else float(given.reshape(())))
    low, high = limits
    if lifted is not None and low is not None and low <= SHORTEST and high is None:
        reading.lengths[name_of(node.outputs[0])] = lifted  # the kernels clamp a length themselves
    elif low == 0 and high == 6:
        _clamp(reading, node, FusedActivation.RELU6)
    elif low == 0 and (high is None or high >= np.finfo(np.float32).max):
        _clamp(reading, node, FusedActivation.RELU)
    else:
        raise reading.refuse(node, f"clamp to {low}..{high} is not supported, expected 0..6 or 0 and above")


def read_softmax(reading: Reading, node: ir.Node) -> None:
    """Over the last axis of ``[N, K]`` or of ``[N, T, C]``."""
    x = reading.tensor(node, 0)
    if x.axes[int(attribute(node, "axis", -1))] != len(x.shape) - 1:
        raise reading.refuse(node, f"softmax of {list(x.onnx_shape)} over axis {attribute(node, 'axis', -1)}")
    reading.add(node, "softmax", (x.name,), Softmax(), x.axes, steps=x.steps)


def _add_table(reading: Reading, node: ir.Node) -> bool:
    """Append an ``add_constant`` if the constant has a number for every step and channel; return whether it does."""
    second = node.inputs[1] is not None and constant_of(node.inputs[1]) is not None
    x, table = reading.tensor(node, 0 if second else 1), reading.required(node, 1 if second else 0)
    if x.axes not in (SERIES, CHANNELS_FIRST) or 1 in x.shape[1:]:
        return False
    aligned = (1,) * (3 - table.ndim) + table.shape
    if aligned != x.onnx_shape:
        return False
    order = (0, 2, 1) if x.axes == CHANNELS_FIRST else (0, 1, 2)
    name = reading.add_constant(f"{node.outputs[0].name}/table", table.reshape(aligned).transpose(order))
    reading.add(node, "add_constant", (x.name, name), AddConstant(), x.axes)
    return True


def _clamp(reading: Reading, node: ir.Node, activation: FusedActivation) -> None:
    x = reading.tensor(node, 0)
    reading.add(node, "relu", (x.name,), Relu(activation), x.axes, steps=x.steps)


def _constant_is_second(reading: Reading, node: ir.Node) -> None:
    if node.inputs[0] is None or constant_of(node.inputs[0]) is not None:
        raise reading.refuse(node, "a constant minus or divided by an activation is not supported")


def _with_constant(reading: Reading, node: ir.Node) -> tuple[Tensor, NDArray[Any]]:
    """Return the activation and the constant as one number a channel, in ONNX order."""
    second = node.inputs[1] is not None and constant_of(node.inputs[1]) is not None
    x = reading.tensor(node, 0 if second else 1)
    constant = reading.required(node, 1 if second else 0).astype(np.float64)
    channels = x.shape[-1]
    aligned = (1,) * (len(x.axes) - constant.ndim) + constant.shape
    expected = tuple(channels if axis == len(x.shape) - 1 else 1 for axis in x.axes)
    if constant.size != 1 and aligned != expected:
        raise reading.refuse(
            node,
            f"a constant of shape {list(constant.shape)} with an activation {list(x.onnx_shape)}, expected one "
            "number, or one a channel",
        )
    return x, np.broadcast_to(constant.reshape(-1), (channels,))


def _scale_and_offset(reading: Reading, node: ir.Node, x: Tensor, scale: NDArray[Any], offset: NDArray[Any]) -> None:
    name = node.outputs[0].name
    names = (
        reading.add_constant(f"{name}/scale", x.channel_vector(scale)),
        reading.add_constant(f"{name}/offset", x.channel_vector(offset)),
    )
    reading.add(node, "batch_norm", (x.name, *names), BatchNorm(), x.axes, steps=x.steps)
