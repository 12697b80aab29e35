"""Reading attention and normalization: values against ONNX Runtime or by hand, refusals with name and place."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgehar.errors import UnsupportedOpError
from firmware_export.graph import Graph
from firmware_export.onnx_reader import read_onnx
from firmware_export.passes import PASSES, run_passes
from firmware_export.reference import run

T, C, S = 6, 4, 3
CONSTANTS = {
    "w": np.random.default_rng(0).normal(size=(C, S)),
    "table": np.random.default_rng(1).normal(size=(T, C)),
    "gain": np.array([1.0, -2.0, 0.5, 3.0]),
    "offset": np.array([0.5, 0.0, -1.0, 2.0]),
    "bias": np.array([1.0, -1.0, 2.0]),
    "tiny": np.asarray(1e-6),
    "half": np.asarray(0.5),
}
INTEGERS = {"channels": [2], "time": [1], "shape": [1, T, C], "other": [1, T, 2 * C]}


def node(op: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], name=output, **attributes)


def file_of(nodes: list[onnx.NodeProto], columns: int = C, opset: int = 20) -> bytes:
    constants = [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in CONSTANTS.items()]
    constants += [numpy_helper.from_array(np.asarray(v, np.int64), k) for k, v in INTEGERS.items()]
    used = {name for n in nodes for name in n.input}
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, T, C])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, T, columns])
    graph = helper.make_graph(nodes, "g", [x], [y], [c for c in constants if c.name in used])
    opsets = [helper.make_opsetid("", opset)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


TRANSPOSED = node("Transpose", "x", "xt", perm=[0, 2, 1])
CASES: dict[str, tuple[list[onnx.NodeProto], int]] = {
    "linear_over_a_series": ([node("MatMul", "x w", "m"), node("Add", "m bias", "y")], S),
    "table": ([node("Add", "table x", "y")], C),
    "scores": ([TRANSPOSED, node("MatMul", "x xt", "y")], T),
    "weighted": ([TRANSPOSED, node("MatMul", "x xt", "s"), node("MatMul", "s x", "y")], C),
    "both_transposed": (
        [
            TRANSPOSED,
            node("MatMul", "x xt", "s"),
            node("Transpose", "s", "st", perm=[0, 2, 1]),
            node("MatMul", "xt st", "z"),
            node("Transpose", "z", "y", perm=[0, 2, 1]),
        ],
        C,
    ),
    "unit_length": ([node("LpNormalization", "x", "y", axis=-1)], C),
    "unit_length_in_parts": (
        [
            node("ReduceL2", "x channels", "l"),
            node("Clip", "l tiny", "c"),
            node("Expand", "c shape", "e"),
            node("Div", "x e", "y"),
        ],
        C,
    ),
    "layer_norm": ([node("LayerNormalization", "x gain offset", "y", epsilon=1e-9)], C),
    "layer_norm_into_layers": (
        [
            node("LayerNormalization", "x gain offset", "n", epsilon=1e-9),
            node("MatMul", "n w", "a"),
            node("MatMul", "n w", "b"),
            node("Add", "a b", "y"),
        ],
        S,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_onnxruntime(name: str) -> None:
    nodes, columns = CASES[name]
    file = file_of(nodes, columns)
    x = np.random.default_rng(2).normal(size=(5, T, C)).astype(np.float32)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"x": window[None]})[0] for window in x])
    graph = read_onnx(file)
    np.testing.assert_allclose(run(graph, x)[0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run(run_passes(graph, PASSES), x)[0], expected, rtol=1e-4, atol=1e-5)


def ops_of(graph: Graph) -> list[str]:
    return [n.op for n in graph.nodes]


def test_gain_and_offset_fold_into_all_layers_that_read_them() -> None:
    graph = run_passes(read_onnx(file_of(*CASES["layer_norm_into_layers"])), PASSES)
    assert ops_of(graph) == ["conv1d", "l2_norm", "conv1d", "conv1d", "add"]


def test_gain_without_such_layers_becomes_a_layer() -> None:
    graph = run_passes(read_onnx(file_of(*CASES["layer_norm"])), PASSES)
    assert ops_of(graph) == ["conv1d", "l2_norm", "depthwise_conv1d"]


REFUSED = {
    "by another length": (
        [node("Relu", "x", "r"), node("ReduceL2", "r channels", "l"), node("Div", "x l", "y")],
        r"Div \(node 'y', 3 of 3, .* length of another activation's columns",
    ),
    "length over time": ([node("ReduceL2", "x time", "y")], r"ReduceL2 .* axes \[1\], expected channels, kept"),
    "clamped high": (
        [node("ReduceL2", "x channels", "l"), node("Clip", "l half", "c"), node("Div", "x c", "y")],
        r"Clip .* clamp to 0.5..None",
    ),
    "expanded elsewhere": (
        [node("ReduceL2", "x channels", "l"), node("Expand", "l other", "y")],
        r"Expand .* to the column's own shape",
    ),
    "expanded activation": ([node("Expand", "x other", "y")], r"Expand .* only the length of a column"),
    "norm of 1": ([node("LpNormalization", "x", "y", p=1)], r"LpNormalization .* p 1 is not supported"),
    "along time": ([node("LpNormalization", "x", "y", axis=1)], r"normalization of \[1, 6, 4\] along axis 1"),
    "one transposed": (
        [TRANSPOSED, node("MatMul", "xt x", "y")],
        r"MatMul .* product of \[1, 4, 6\] and \[1, 6, 4\], .* one head at a time",
    ),
    "lengths that differ": (
        [node("MatMul", "x w", "m"), TRANSPOSED, node("MatMul", "m xt", "y")],
        r"MatMul .* inner lengths 3 and 4",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused(name: str) -> None:
    nodes, message = REFUSED[name]
    with pytest.raises(UnsupportedOpError, match=message):
        read_onnx(file_of(nodes))
