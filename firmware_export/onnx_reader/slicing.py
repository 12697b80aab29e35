"""ONNX ``Slice`` along time, or of all of it backward, and ``Gather`` of one step of it."""

from __future__ import annotations

import onnx_ir as ir

from firmware_export.onnx_reader.reading import Reading, Tensor, attribute
from firmware_export.onnx_reader.shapes import drop_axes
from firmware_export.ops.crop1d import Crop1d
from firmware_export.ops.reverse import Reverse

TIME = 1  # of our [N, T, C]


def read_slice(reading: Reading, node: ir.Node) -> None:
    """A stretch of time; inputs are data, starts, ends, axes, steps. Axes kept whole may be named too."""
    x = reading.tensor(node, 0)
    starts, ends = ([int(i) for i in reading.required(node, index)] for index in (1, 2))
    axes, steps = reading.constant(node, 3), reading.constant(node, 4)
    named = range(len(starts)) if axes is None else [int(axis) % len(x.axes) for axis in axes]
    if steps is not None and [int(step) for step in steps] == [-1] and _is_backward(x, named[0], starts[0], ends[0]):
        _along_time(reading, node, x, named[0])
        reading.add(node, "reverse", (x.name,), Reverse(), x.axes)
        return
    if steps is not None and (steps != 1).any():
        raise reading.refuse(node, f"steps {steps.tolist()} are not supported, expected 1")
    start, length = 0, x.shape[TIME]
    for axis, first, last in zip(named, starts, ends, strict=True):
        size = x.onnx_shape[axis]
        kept = range(size)[first:last]
        if len(kept) == size:
            continue
        _along_time(reading, node, x, axis)
        start, length = kept.start, len(kept)
    if length == x.shape[TIME]:
        reading.alias(node, x)
    else:
        reading.add(node, "crop1d", (x.name,), Crop1d(start, length), x.axes)


def _is_backward(x: Tensor, axis: int, start: int, end: int) -> bool:
    size = x.onnx_shape[axis]
    return len(range(size)[start:end:-1]) == size


def read_gather(reading: Reading, node: ir.Node) -> None:
    """One step of time by a constant index, the axis dropped: ``x[:, :, -1]``."""
    x, indices = reading.tensor(node, 0), reading.required(node, 1)
    axis = int(attribute(node, "axis", 0)) % len(x.axes)
    if x.axes[axis] is None and indices.ndim == 0:
        drop_axes(reading, node, x, {axis})
        return
    _along_time(reading, node, x, axis)
    if indices.ndim != 0:
        raise reading.refuse(node, f"indices of shape {list(indices.shape)} are not supported, expected one number")
    index, size = int(indices), x.shape[TIME]
    if not -size <= index < size:
        raise reading.refuse(node, f"index {index} of an axis of {size}")
    crop = Crop1d(index % size, 1)
    step = reading.add(node, "crop1d", (x.name,), crop, x.axes, output=f"{node.outputs[0].name}/step")
    drop_axes(reading, node, step, {axis})


def _along_time(reading: Reading, node: ir.Node, x: Tensor, axis: int) -> None:
    if len(x.shape) != 3 or x.axes[axis] != TIME:
        raise reading.refuse(node, f"a part of axis {axis} of {list(x.onnx_shape)}, expected a part of time")
