"""ONNX operators that attention adds: products of two activations, and normalization of columns."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from firmware_export.onnx_reader.dense import read_dense_matmul
from firmware_export.onnx_reader.reading import CHANNELS_FIRST, SERIES, Reading, Tensor, attribute, constant_of, name_of
from firmware_export.ops.batch_matmul import BatchMatmul
from firmware_export.ops.batch_norm import BatchNorm
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.l2_norm import L2Norm

ON_THE_WAY = ("Div", "DequantizeLinear", "Mul", "QuantizeLinear")  # from scores to their softmax


def read_matmul(reading: Reading, node: ir.Node) -> None:
    """A times B: a dense layer where B is constant, else a product of two series."""
    if node.inputs[1] is not None and constant_of(node.inputs[1]) is not None:
        read_dense_matmul(reading, node)
        return
    a, b = reading.tensor(node, 0), reading.tensor(node, 1)
    if a.axes == SERIES and b.axes == CHANNELS_FIRST and _softmax_axis(node) == 1:  # scores that lie transposed
        reading.add(node, "batch_matmul", (b.name, a.name), BatchMatmul(transpose_b=True), CHANNELS_FIRST)
    elif a.axes == SERIES and b.axes in (SERIES, CHANNELS_FIRST):
        attrs = BatchMatmul(transpose_b=b.axes == CHANNELS_FIRST)
        reading.add(node, "batch_matmul", (a.name, b.name), attrs, SERIES)
    elif a.axes == b.axes == CHANNELS_FIRST:  # (A B)^T = B^T A^T, and both lie transposed here
        reading.add(node, "batch_matmul", (b.name, a.name), BatchMatmul(transpose_b=False), CHANNELS_FIRST)
    else:
        raise reading.refuse(
            node,
            f"product of {list(a.onnx_shape)} and {list(b.onnx_shape)}, expected [N, T, K] and [N, K, S]; "
            "write attention one head at a time",
        )


def _softmax_axis(node: ir.Node) -> int | None:
    """Return the axis of the softmax that reads a product of two series, scaled or rounded on the way; None if none."""
    while True:
        readers = [reader for reader, _ in node.outputs[0].uses()]
        if len(readers) != 1 or readers[0].op_type not in (*ON_THE_WAY, "Softmax"):
            return None
        (node,) = readers
        if node.op_type == "Softmax":
            return int(attribute(node, "axis", -1)) % len(SERIES)


def read_reduce_l2(reading: Reading, node: ir.Node) -> None:
    """The length of every column; only a division by it is supported."""
    x = reading.tensor(node, 0)
    given = reading.constant(node, 1)
    axes = attribute(node, "axes", ()) if given is None else given.reshape(-1).tolist()
    if [x.axes[int(axis)] for axis in axes] != [len(x.shape) - 1] or not attribute(node, "keepdims", 1) or x.steps > 1:
        raise reading.refuse(node, f"{list(x.onnx_shape)} reduced over axes {list(axes)}, expected channels, kept")
    reading.lengths[name_of(node.outputs[0])] = x


def read_lp_normalization(reading: Reading, node: ir.Node) -> None:
    """Every column divided by its Euclidean length."""
    x = reading.tensor(node, 0)
    if attribute(node, "p", 2) != 2:
        raise reading.refuse(node, f"p {attribute(node, 'p', 2)} is not supported, expected 2")
    _of_channels(reading, node, x, int(attribute(node, "axis", -1)))
    reading.add(node, "l2_norm", (x.name,), L2Norm(), x.axes)


def read_expand(reading: Reading, node: ir.Node) -> None:
    """Of a column's length, to be divided by."""
    length = reading.lengths.get(name_of(node.inputs[0]))
    if length is None or tuple(reading.required(node, 1)) != length.onnx_shape:
        raise reading.refuse(node, "only the length of a column can be expanded, to the column's own shape")
    reading.lengths[name_of(node.outputs[0])] = length


def read_layer_normalization(reading: Reading, node: ir.Node) -> None:
    """Centred by a matrix, brought to length 1, then scale and offset a channel; ``epsilon`` is too small to count."""
    x = reading.tensor(node, 0)
    _of_channels(reading, node, x, int(attribute(node, "axis", -1)))
    if len(x.shape) != 3:
        raise reading.refuse(node, f"input {list(x.onnx_shape)}, expected [N, T, C]")
    channels, name = x.shape[2], name_of(node.outputs[0])
    scale, offset = reading.required(node, 1), reading.constant(node, 2)
    centring = (np.eye(channels) - 1 / channels)[:, None]
    constants = (
        reading.add_constant(f"{name}/centring", centring),
        reading.add_constant(f"{name}/zeros", np.zeros(channels)),
        reading.add_constant(f"{name}/scale", np.broadcast_to(scale, (channels,)) * np.sqrt(channels)),
        reading.add_constant(f"{name}/offset", np.zeros(channels) if offset is None else offset),
    )
    centred = reading.add(node, "conv1d", (x.name, *constants[:2]), Conv1d(), x.axes, output=f"{name}/centred")
    unit = reading.add(node, "l2_norm", (centred.name,), L2Norm(), x.axes, output=f"{name}/unit")
    reading.add(node, "batch_norm", (unit.name, *constants[2:]), BatchNorm(), x.axes)


def _of_channels(reading: Reading, node: ir.Node, x: Tensor, axis: int) -> None:
    if x.axes[axis] != len(x.shape) - 1 or x.steps > 1:
        raise reading.refuse(node, f"normalization of {list(x.onnx_shape)} along axis {axis}, expected channels")
