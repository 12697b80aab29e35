"""Every op in every interpreter: int8 bit for bit in LiteRT reference kernels and TFLM, within a step elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from export_cases import CASES, Case, conv, conv2d, depthwise, depthwise2d, float_graph, int8_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_micro import runtime

from firmware_export.graph import Graph, Node, Quantization, Value, assemble
from firmware_export.ops import OPS, op_of
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.dense import Dense
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.targets import TARGETS
from firmware_export.targets.onnx import write_qdq
from firmware_export.targets.tflite import write_tflite

ALL = [case for cases in CASES.values() for case in cases]
WINDOWS = 12
WITH_INT8 = {name for name, op in OPS.items() if op.int8 is not None}


def run_reference(graph: Graph, inputs: list[np.ndarray]) -> np.ndarray:
    (node,) = graph.nodes
    operands = [graph.values[name] for name in node.inputs]
    feed = dict(zip(graph.inputs, inputs, strict=True))
    arrays = [feed[v.name] if v.data is None else v.data for v in operands]
    op, (out, *states) = op_of(node), (graph.values[name] for name in node.outputs)
    if out.dtype == "float32":
        result = op.float32(node.attrs, arrays)
    else:
        assert op.int8 is not None
        result = op.int8(node.attrs, arrays, [v.quantization for v in (*operands, *states)], out.quantization)
    return result[0] if isinstance(result, tuple) else result


def run_litert(file: bytes, inputs: list[np.ndarray], resolver: OpResolverType) -> np.ndarray:
    interpreter = Interpreter(model_content=file, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    sources, (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for window in zip(*inputs, strict=True):
        for source, x in zip(sources, window, strict=True):
            interpreter.set_tensor(source["index"], x[None])
        interpreter.reset_all_variables()
        interpreter.invoke()
        rows.append(interpreter.get_tensor(sink["index"]))
    return np.concatenate(rows)


def run_tflm(file: bytes, inputs: list[np.ndarray]) -> np.ndarray:
    interpreter = runtime.Interpreter.from_bytes(file, arena_size=2**20)
    rows = []
    for window in zip(*inputs, strict=True):
        interpreter.reset()
        for index, x in enumerate(window):
            interpreter.set_input(x[None], index)
        interpreter.invoke()
        rows.append(interpreter.get_output(0))
    return np.concatenate(rows)


def run_onnxruntime(file: bytes, inputs: list[np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    rows = [
        session.run(None, {n: x[None] for n, x in zip(names, window, strict=True)})[0]
        for window in zip(*inputs, strict=True)
    ]
    return np.concatenate(rows)


def int8_inputs(graph: Graph, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs = [rng.integers(-128, 128, (WINDOWS, *graph.values[n].shape[1:])).astype(np.int8) for n in graph.inputs]
    for x in inputs:
        x[0], x[1] = -128, 127
    return inputs


def test_every_op_has_cases() -> None:
    assert set(CASES) == WITH_INT8
    assert all(case.op == name for name, cases in CASES.items() for case in cases)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_writes_every_op(target: str) -> None:
    assert set(TARGETS[target].emits) == WITH_INT8


# Steps that LiteRT's reference kernels may be from TFLM's: their LSTM computes sigmoid and tanh by gemmlowp's series,
# TFLM interpolates in a table.
REFERENCES_DIFFER = {"lstm": 1}


@pytest.mark.parametrize("case", ALL, ids=str)
def test_int8_is_exact_in_litert_reference_and_tflm(case: Case) -> None:
    for seed in range(4):
        graph = int8_graph(case, seed)
        inputs = int8_inputs(graph, seed)
        expected = run_reference(graph, inputs)
        file = write_tflite(graph, {})
        found = run_litert(file, inputs, OpResolverType.BUILTIN_REF).astype(int)
        assert np.abs(found - expected).max() <= REFERENCES_DIFFER.get(case.op, 0)
        np.testing.assert_array_equal(run_tflm(file, inputs), expected)


# XNNPACK and ONNX Runtime rescale in float32 and round once; where the op itself is exact they are too
NEAR = dict.fromkeys(WITH_INT8, 1)


@pytest.mark.parametrize("case", ALL, ids=str)
def test_int8_is_within_a_step_in_litert_default_and_onnxruntime(case: Case) -> None:
    graph = int8_graph(case, 1)
    inputs = int8_inputs(graph, 1)
    expected = run_reference(graph, inputs).astype(int)
    found = run_litert(write_tflite(graph, {}), inputs, OpResolverType.AUTO)
    assert np.abs(found - expected).max() <= NEAR[case.op], "litert"
    found = run_onnxruntime(write_qdq(graph), inputs)
    assert np.abs(found - expected).max() <= NEAR[case.op], "onnxruntime"


@pytest.mark.parametrize("case", ALL, ids=str)
def test_float_agrees_with_litert(case: Case) -> None:
    graph = float_graph(case, 1)
    rng = np.random.default_rng(2)
    inputs = [rng.normal(size=(WINDOWS, *graph.values[n].shape[1:])).astype(np.float32) for n in graph.inputs]
    expected = run_reference(graph, inputs)
    file = write_tflite(graph, {})
    # sums of up to 1500 float32 products in another order
    np.testing.assert_allclose(run_litert(file, inputs, OpResolverType.AUTO), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run_tflm(file, inputs), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("op", ["conv1d", "dense", "depthwise_conv1d"])
def test_rounding_at_ties(op: str) -> None:
    """Biases put every accumulator next to a tie of the rescaling, where one rounding and two differ."""
    rng = np.random.default_rng(5)
    for _ in range(8):
        x_scale, w_scale = (float(np.float32(rng.uniform(0.001, 0.1))) for _ in range(2))
        out_scale = float(np.float32(x_scale * w_scale * 2 ** rng.uniform(-1, 20)))
        ties = np.floor((np.arange(-100, 101, 7) + 0.5) * out_scale / (x_scale * w_scale)).astype(np.int64)
        bias = np.unique(ties[:, None] + np.arange(-6, 7)).astype(np.int32)
        n = len(bias)
        shapes = {
            "conv1d": ((1, 1, 2), (n, 1, 2), (1, 1, n), Conv1d()),
            "dense": ((1, 2), (n, 2), (1, n), Dense()),
            "depthwise_conv1d": ((1, 1, n), (1, n), (1, 1, n), DepthwiseConv1d()),
        }
        x_shape, w_shape, out_shape, attrs = shapes[op]
        axis = 1 if op == "depthwise_conv1d" else 0
        product = float(np.float32(x_scale * w_scale))
        values = [
            Value("x", x_shape, "int8", Quantization((x_scale,), 0)),
            Value("w", w_shape, "int8", Quantization((w_scale,) * n, 0, axis), np.ones(w_shape, np.int8)),
            Value("b", (n,), "int32", Quantization((product,) * n, 0, 0), bias),
            Value("y", out_shape, "int8", Quantization((out_scale,), 0)),
        ]
        graph = assemble(["x"], ["y"], [Node(op, "node", ("x", "w", "b"), ("y",), attrs)], values)
        inputs = [np.zeros(x_shape, np.int8)]
        expected = run_reference(graph, inputs)
        file = write_tflite(graph, {})
        np.testing.assert_array_equal(run_litert(file, inputs, OpResolverType.BUILTIN_REF), expected)
        np.testing.assert_array_equal(run_tflm(file, inputs), expected)


@pytest.mark.parametrize("fraction", range(9, 16))
def test_lstm_is_exact_in_tflm_where_everything_saturates(fraction: int) -> None:
    """Gates beyond ±8, cells beyond int16 and hidden states beyond int8, at every scale that a cell may have."""
    for seed in range(3):
        graph = int8_graph(CASES["lstm"][1], seed)
        rng = np.random.default_rng(seed)
        values = dict(graph.values)
        for name, value in graph.values.items():
            if value.dtype == "int8" and value.data is not None:
                wild = Quantization((float(np.float32(2.0 ** rng.uniform(-12, -5))),))
                values[name] = replace(value, quant=wild)
        values["out"] = replace(values["out"], quant=Quantization((2.0**-8,), int(rng.integers(-128, 128))))
        values["cell"] = replace(values["cell"], quant=Quantization((2.0**-fraction,)))
        graph = assemble(graph.inputs, graph.outputs, graph.nodes, values.values())
        inputs = int8_inputs(graph, seed)
        expected = run_reference(graph, inputs)
        assert {-128, 127} & set(np.unique(expected).tolist())
        np.testing.assert_array_equal(run_tflm(write_tflite(graph, {}), inputs), expected)


def test_softmax_is_exact_over_all_scales() -> None:
    """The fixed-point softmax branches on the input scale; 24 scales from dull to sharp, all exact."""
    for seed, exponent in enumerate(np.linspace(-12, 1, 24)):
        graph = int8_graph(CASES["softmax"][0], seed)
        (node,) = graph.nodes
        sharp = Value("in0", (1, 6), "int8", Quantization((float(np.float32(2.0**exponent)),), 3))
        graph = assemble(["in0"], ["out"], [node], [*graph.values.values(), sharp])
        inputs = int8_inputs(graph, seed)
        expected = run_reference(graph, inputs)
        file = write_tflite(graph, {})
        np.testing.assert_array_equal(run_litert(file, inputs, OpResolverType.BUILTIN_REF), expected)
        np.testing.assert_array_equal(run_tflm(file, inputs), expected)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    kernel=st.integers(1, 7),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    before=st.integers(0, 6),
    after=st.integers(0, 6),
    length=st.integers(19, 30),
    channels=st.integers(1, 6),
    seed=st.integers(0, 2**16),
)
def test_any_convolution_is_exact(
    *, kernel: int, stride: int, dilation: int, before: int, after: int, length: int, channels: int, seed: int
) -> None:
    """Every mix of kernel, stride, dilation and padding, dense and depthwise: shape and bits of TFLite's kernels."""
    shape = (1, length, channels)
    shared = {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": (before, after)}
    for case in (conv(shape, 3, **shared), depthwise(shape, **shared)):
        graph = int8_graph(case, seed)
        inputs = [x[:3] for x in int8_inputs(graph, seed)]
        expected = run_reference(graph, inputs)
        file = write_tflite(graph, {})
        np.testing.assert_array_equal(run_litert(file, inputs, OpResolverType.BUILTIN_REF), expected)
        np.testing.assert_array_equal(run_tflm(file, inputs), expected)


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    kernel=PAIRS,
    stride=PAIRS,
    dilation=PAIRS,
    padding=st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2),
    size=st.tuples(st.integers(7, 11), st.integers(7, 11)),
    channels=st.integers(1, 5),
    seed=st.integers(0, 2**16),
)
def test_any_convolution_of_an_image_is_exact(
    *,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]],
    size: tuple[int, int],
    channels: int,
    seed: int,
) -> None:
    """As for series; height and width each with settings of their own."""
    shared = {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding}
    for case in (conv2d((1, *size, channels), 3, **shared), depthwise2d((1, *size, channels), **shared)):
        graph = int8_graph(case, seed)
        inputs = [x[:3] for x in int8_inputs(graph, seed)]
        expected = run_reference(graph, inputs)
        file = write_tflite(graph, {})
        np.testing.assert_array_equal(run_litert(file, inputs, OpResolverType.BUILTIN_REF), expected)
        np.testing.assert_array_equal(run_tflm(file, inputs), expected)
