"""Reading slices of time, and taking crops into padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgehar.errors import UnsupportedOpError
from firmware_export.graph import Graph, Node, Value, assemble
from firmware_export.onnx_reader import read_onnx
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.crop1d import Crop1d
from firmware_export.passes.crop_padding import crop_padding
from firmware_export.reference import run

T, C = 12, 3
LARGEST = 2**63 - 1


def slices(start: int, end: int, axis: int, step: int = 1) -> tuple[str, list[Any], dict[str, int]]:
    return "Slice", [[start], [end], [axis], [step]], {}


def file_of(op: str, steering: list[Any], attributes: dict[str, int], *, channels_first: bool) -> bytes:
    """``[1, T, C]``, transposed or not, into the operator, summed over what it leaves of time."""
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1] if channels_first else [0, 1, 2])]
    names = [f"c{i}" for i in range(len(steering))]
    nodes.append(helper.make_node(op, ["t", *names], ["s"], name="part", **attributes))
    rank = 3 if op == "Slice" else 2
    if rank == 3:
        nodes.append(helper.make_node("ReduceMean", ["s", "time"], ["y"], keepdims=0))
    constants = [numpy_helper.from_array(np.asarray(c, np.int64), n) for n, c in zip(names, steering, strict=True)]
    constants.append(numpy_helper.from_array(np.asarray([2 if channels_first else 1], np.int64), "time"))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, T, C])
    y = helper.make_tensor_value_info("y" if rank == 3 else "s", TensorProto.FLOAT, [1, C])
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString())


@pytest.mark.parametrize(("part", "kept"), [
    (slices(3, LARGEST, 2), slice(3, None)),
    (slices(0, -4, -1), slice(0, -4)),
    (slices(-5, -2, 2), slice(-5, -2)),
    (slices(0, T, 2), slice(None)),
    (("Slice", [[2, 0], [7, C], [2, 1]], {}), slice(2, 7)),
    (("Gather", [-1], {"axis": 2}), slice(-1, None)),
    (("Gather", [4], {"axis": 2}), slice(4, 5)),
])  # fmt: skip
def test_parts_of_time(part: tuple[str, list[Any], dict[str, int]], kept: slice) -> None:
    graph = read_onnx(file_of(*part, channels_first=True))
    x = np.random.default_rng(0).normal(size=(5, T, C)).astype(np.float32)
    np.testing.assert_allclose(run(graph, x)[0], x[:, kept].mean(1), rtol=1e-5, atol=1e-6)


def test_a_part_of_time_in_our_own_order() -> None:
    x = np.random.default_rng(0).normal(size=(5, T, C)).astype(np.float32)
    (found,) = run(read_onnx(file_of("Gather", [0], {"axis": 1}, channels_first=False)), x)
    np.testing.assert_array_equal(found, x[:, 0])


@pytest.mark.parametrize(("part", "message"), [
    (slices(1, 3, 1), r"Slice \(node 'part', 2 of 3, .* a part of axis 1 of \[1, 3, 12\], expected a part of time"),
    (slices(0, T, 2, 2), r"Slice .* steps \[2\] are not supported, expected 1"),
    (slices(5, 5, 2), r"Slice .* steps 5..5 of an input with 12 steps"),
    (("Gather", [0], {"axis": 1}), r"Gather .* a part of axis 1"),
    (("Gather", [[0, 2]], {"axis": 2}), r"Gather .* indices of shape \[2\] are not supported, expected one number"),
    (("Gather", [T], {"axis": 2}), r"Gather .* index 12 of an axis of 12"),
])  # fmt: skip
def test_other_parts_are_refused(part: tuple[str, list[Any], dict[str, int]], message: str) -> None:
    with pytest.raises(UnsupportedOpError, match=message):
        read_onnx(file_of(*part, channels_first=True))


def cropped(stride: int, crop: Crop1d) -> Graph:
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(2, 3, C)).astype(np.float32), np.ones(2, np.float32)
    columns = (T + 4 - 3) // stride + 1
    values = [
        Value("x", (1, T, C)),
        Value("w", w.shape, data=w),
        Value("b", b.shape, data=b),
        Value("y", (1, columns, 2)),
        Value("z", (1, crop.length, 2)),
    ]
    conv = Node("conv1d", "conv", ("x", "w", "b"), ("y",), Conv1d(kernel=3, stride=stride, padding=(2, 2)))
    return assemble(["x"], ["z"], [conv, Node("crop1d", "crop", ("y",), ("z",), crop)], values)


@pytest.mark.parametrize(("stride", "crop", "nodes"), [
    (1, Crop1d(0, T), 1),  # causal
    (1, Crop1d(2, T - 2), 1),  # unpadded
    (1, Crop1d(3, 5), 2),  # cuts into what was there
    (2, Crop1d(0, 4), 2),
])  # fmt: skip
def test_crop_becomes_less_padding(stride: int, crop: Crop1d, nodes: int) -> None:
    graph = cropped(stride, crop)
    after = crop_padding(graph)
    assert len(after.nodes) == nodes
    x = np.random.default_rng(1).normal(size=(4, T, C)).astype(np.float32)
    np.testing.assert_array_equal(run(after, x)[0], run(graph, x)[0])
