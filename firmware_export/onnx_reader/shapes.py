"""ONNX operators that move or rename numbers. A transpose changes only how a tensor's axes are read."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import onnx_ir as ir

from firmware_export.graph import Shape
from firmware_export.onnx_reader.reading import CHANNELS_FIRST, IMAGE, ROWS, SPLIT, Reading, Tensor, attribute
from firmware_export.ops.reshape import Reshape


def read_identity(reading: Reading, node: ir.Node) -> None:
    """Output is input."""
    reading.alias(node, reading.tensor(node, 0))


def read_transpose(reading: Reading, node: ir.Node) -> None:
    """Any permutation; whoever reads the result decides whether it can."""
    x = reading.unmerged(node, 0)
    perm = attribute(node, "perm", tuple(reversed(range(len(x.axes)))))
    if x.steps > 1 and tuple(perm) != tuple(range(len(x.axes))):
        raise reading.refuse(node, f"permutation {perm} of a flattened series {list(x.onnx_shape)}")
    reading.alias(node, replace(x, axes=tuple(x.axes[i] for i in perm)))


def read_flatten(reading: Reading, node: ir.Node) -> None:
    """To ``[N, everything]``."""
    x = reading.tensor(node, 0)
    axis = int(attribute(node, "axis", 1)) % len(x.axes)
    if axis != 1:
        raise reading.refuse(node, f"flatten from axis {axis}, expected 1")
    _reshape(reading, node, x, (1, math.prod(x.shape)))


def read_reshape(reading: Reading, node: ir.Node) -> None:
    """To a constant shape; 0 keeps an axis (unless ``allowzero``), -1 is worked out."""
    x = reading.unmerged(node, 0)
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
    rank = len(x.axes)
    given = _axes(reading, node)
    dropped = {a % rank for a in given} if given else {i for i in range(1, rank) if x.onnx_shape[i] == 1}
    if any(x.onnx_shape[i] != 1 for i in dropped):
        raise reading.refuse(node, f"squeeze of axes {sorted(dropped)} of {list(x.onnx_shape)}")
    drop_axes(reading, node, x, dropped)


def read_unsqueeze(reading: Reading, node: ir.Node) -> None:
    """Add axes of length 1, which only the file has."""
    x = reading.tensor(node, 0)
    given = _axes(reading, node)
    rank = len(x.axes) + len(given)
    added = {a % rank for a in given}
    axes = iter(x.axes)
    reading.alias(node, replace(x, axes=tuple(None if i in added else next(axes) for i in range(rank))))


def drop_axes(reading: Reading, node: ir.Node, x: Tensor, dropped: Collection[int]) -> None:
    """Drop axes of length 1 of the file; where one is ours too, append a reshape."""
    axes = tuple(axis for i, axis in enumerate(x.axes) if i not in dropped)
    kept = [axis for axis in axes if axis is not None]
    if len(kept) == len(x.shape):
        reading.alias(node, replace(x, axes=axes))
        return
    order = {axis: i for i, axis in enumerate(sorted(kept))}
    target = tuple(x.shape[axis] for axis in order)
    renumbered = tuple(None if axis is None else order[axis] for axis in axes)
    if len(target) != 2:
        raise reading.refuse(node, f"{list(x.onnx_shape)} without axes {sorted(dropped)}, expected [N, K] to be left")
    reading.add(node, "reshape", (x.name,), Reshape(target), renumbered)


def _axes(reading: Reading, node: ir.Node) -> tuple[int, ...]:
    given = reading.constant(node, 1)
    return tuple(attribute(node, "axes", ())) if given is None else tuple(int(a) for a in given.reshape(-1))


def _reshape(reading: Reading, node: ir.Node, x: Tensor, target: Shape) -> None:
    """Append a reshape from the shape of ``x`` in the file to ``target`` there."""
    x = _merged(x)
    if target == x.onnx_shape:
        reading.alias(node, x)
        return
    ours = replace(x, axes=tuple(axis for axis in x.axes if axis is not None))
    if target == ours.onnx_shape and ours.split == 1:
        reading.alias(node, ours)
        return
    if x.split > 1:
        raise reading.refuse(
            node, f"reshape of {list(x.onnx_shape)} to {list(target)}, expected the directions merged with the units"
        )
    if math.prod(target) != math.prod(x.shape) or target[0] != 1 or len(target) not in (2, 3):
        raise reading.refuse(
            node, f"reshape of {list(x.onnx_shape)} to {list(target)}, expected batch 1 and [N, K] or [N, T, C]"
        )
    if x.in_our_order:
        reading.add(node, "reshape", (x.name,), Reshape(target), tuple(range(len(target))))
    elif len(target) == 2 and tuple(a for a in x.axes if a is not None) in (CHANNELS_FIRST, IMAGE):
        reading.add(node, "reshape", (x.name,), Reshape(target), ROWS, steps=math.prod(x.shape[1:-1]))
    else:
        raise reading.refuse(
            node, f"reshape of {list(x.onnx_shape)} to {list(target)} would move numbers between axes; flatten it"
        )


def _merged(x: Tensor) -> Tensor:
    """Return the tensor with ``SPLIT`` and the axis after it as one, if that is our last axis."""
    last = len(x.shape) - 1
    for i, pair in enumerate(zip(x.axes, x.axes[1:], strict=False)):
        if pair == (SPLIT, last):
            return replace(x, axes=(*x.axes[:i], *x.axes[i + 1 :]), split=1)
    return x
