"""ONNX operators that move or rename numbers. A transpose changes only how a tensor's axes are read."""

from __future__ import annotations

import math
from dataclasses import replace

import onnx_ir as ir

from firmware_export.graph import Shape
from firmware_export.onnx_reader.reading import Order, Reading, Tensor, attribute
from firmware_export.ops.reshape import Reshape

_FLIPPED = {Order.SAME: Order.CHANNELS_FIRST, Order.CHANNELS_FIRST: Order.SAME}


def read_identity(reading: Reading, node: ir.Node) -> None:
    """Output is input."""
    reading.alias(node, reading.tensor(node, 0))


def read_transpose(reading: Reading, node: ir.Node) -> None:
    """``[N, T, C]`` to ``[N, C, T]`` or back."""
    x = reading.tensor(node, 0)
    rank = len(x.shape)
    perm = tuple(attribute(node, "perm", tuple(reversed(range(rank)))))
    if perm == tuple(range(rank)):
        reading.alias(node, x)
    elif perm == (0, 2, 1):
        reading.alias(node, replace(x, order=_FLIPPED[x.order]))
    else:
        raise reading.refuse(node, f"permutation {perm} of {list(x.onnx_shape)}, expected (0, 2, 1)")


def read_flatten(reading: Reading, node: ir.Node) -> None:
    """To ``[N, everything]``."""
    x = reading.tensor(node, 0)
    axis = int(attribute(node, "axis", 1)) % len(x.shape)
    if axis != 1:
        raise reading.refuse(node, f"flatten from axis {axis}, expected 1")
    _reshape(reading, node, x, (1, math.prod(x.shape)))


def read_reshape(reading: Reading, node: ir.Node) -> None:
    """To a constant shape; 0 keeps an axis (unless ``allowzero``), -1 is worked out."""
    x = reading.tensor(node, 0)
    target = [int(d) for d in reading.required(node, 1)]
    if not attribute(node, "allowzero", 0):
        target = [x.onnx_shape[i] if d == 0 else d for i, d in enumerate(target)]
    if target.count(-1) == 1:
        known = -math.prod(target)
        target[target.index(-1)] = math.prod(x.shape) // known if known else 0
    _reshape(reading, node, x, tuple(target))


def read_squeeze(reading: Reading, node: ir.Node) -> None:
    """Drop axes of length 1; axes are input 1 (opset 13 on) or an attribute, all of them if not given."""
    x = reading.tensor(node, 0)
    rank = len(x.shape)
    axes = _axes(reading, node)
    dropped = {a % rank for a in axes} if axes else {i for i in range(1, rank) if x.onnx_shape[i] == 1}
    if any(x.onnx_shape[i] != 1 for i in dropped):
        raise reading.refuse(node, f"squeeze of axes {sorted(dropped)} of {list(x.onnx_shape)}")
    _reshape(reading, node, x, tuple(d for i, d in enumerate(x.onnx_shape) if i not in dropped))


def read_unsqueeze(reading: Reading, node: ir.Node) -> None:
    """Add axes of length 1."""
    x = reading.tensor(node, 0)
    axes = _axes(reading, node)
    rank = len(x.shape) + len(axes)
    added = {a % rank for a in axes}
    dims = iter(x.onnx_shape)
    _reshape(reading, node, x, tuple(1 if i in added else next(dims) for i in range(rank)))


def _axes(reading: Reading, node: ir.Node) -> tuple[int, ...]:
    given = reading.constant(node, 1)
    return tuple(attribute(node, "axes", ())) if given is None else tuple(int(a) for a in given.reshape(-1))


def _reshape(reading: Reading, node: ir.Node, x: Tensor, target: Shape) -> None:
    """Append a reshape from the ONNX shape of ``x`` to the ONNX shape ``target``."""
    if target == x.onnx_shape:
        reading.alias(node, x)
        return
    if math.prod(target) != math.prod(x.shape) or target[0] != 1 or len(target) not in (2, 3):
        raise reading.refuse(
            node, f"reshape of {list(x.onnx_shape)} to {list(target)}, expected batch 1 and [N, K] or [N, T, C]"
        )
    in_place = x.order is Order.SAME or (x.order is Order.CHANNELS_FIRST and 1 in x.shape[1:])
    if in_place:
        reading.add(node, "reshape", (x.name,), Reshape(target), Order.SAME)
    elif x.order is Order.CHANNELS_FIRST and len(target) == 2:
        reading.add(node, "reshape", (x.name,), Reshape(target), Order.FLAT, steps=x.shape[1])
    else:
        raise reading.refuse(
            node, f"reshape of channels-first {list(x.onnx_shape)} to {list(target)} would move numbers; flatten it"
        )
