"""The graph's own checks, the passes, recipes, calibration and quantization on small graphs made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgehar.errors import ExportError, UnsupportedOpError, UsageError
from firmware_export.calibration import calibrate
from firmware_export.graph import Attrs, Graph, Node, Value, assemble
from firmware_export.ops.add import Add
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.batch_norm import BatchNorm
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.op import FusedActivation
from firmware_export.ops.relu import Relu
from firmware_export.ops.reshape import Reshape
from firmware_export.passes import PASSES, RANGE_PASSES, run_passes
from firmware_export.passes.fold_batch_norm import fold_batch_norm
from firmware_export.passes.fuse_relu import fuse_relu
from firmware_export.passes.remove_identity import remove_identity
from firmware_export.quantize import quantize
from firmware_export.recipes import recipe_named
from firmware_export.reference import run

RNG = np.random.default_rng(0)
WINDOWS = RNG.normal(size=(16, 12, 3)).astype(np.float32)


def constant(name: str, *shape: int) -> Value:
    return Value(name, shape, data=RNG.normal(size=shape).astype(np.float32))


def series(name: str, length: int = 12, channels: int = 3) -> Value:
    return Value(name, (1, length, channels))


def conv_norm_relu() -> Graph:
    return assemble(
        ["x"],
        ["y"],
        [
            Node("conv1d", "conv", ("x", "w", "b"), ("c",), Conv1d(kernel=3)),
            Node("batch_norm", "norm", ("c", "s", "o"), ("n",), BatchNorm()),
            Node("relu", "relu", ("n",), ("y",), Relu()),
        ],
        [
            series("x"),
            constant("w", 4, 3, 3),
            constant("b", 4),
            constant("s", 4),
            constant("o", 4),
            *(series(n, 10, 4) for n in "cny"),
        ],
    )


def test_passes_leave_one_convolution_with_the_same_output() -> None:
    graph = conv_norm_relu()
    rewritten = run_passes(graph, PASSES)
    (node,) = rewritten.nodes
    assert node.op == "conv1d" and node.outputs == ("y",)
    assert isinstance(node.attrs, Conv1d) and node.attrs.activation is FusedActivation.RELU
    np.testing.assert_allclose(run(rewritten, WINDOWS)[0], run(graph, WINDOWS)[0], rtol=1e-4, atol=1e-5)


def test_norm_without_a_layer_before_it_becomes_depthwise() -> None:
    values = [series("x"), constant("s", 3), constant("o", 3), series("y")]
    graph = assemble(["x"], ["y"], [Node("batch_norm", "norm", ("x", "s", "o"), ("y",), BatchNorm())], values)
    rewritten = fold_batch_norm(graph)
    assert [node.op for node in rewritten.nodes] == ["depthwise_conv1d"]
    np.testing.assert_allclose(run(rewritten, WINDOWS)[0], run(graph, WINDOWS)[0], rtol=1e-5, atol=1e-6)


def test_a_layer_that_others_read_too_keeps_its_numbers() -> None:
    graph = conv_norm_relu()
    nodes = [*graph.nodes[:-1], Node("add", "sum", ("c", "n"), ("y",), Add())]
    branched = assemble(["x"], ["y"], nodes, graph.values.values())
    rewritten = run_passes(branched, PASSES)
    assert [node.op for node in rewritten.nodes] == ["conv1d", "depthwise_conv1d", "add"]
    np.testing.assert_allclose(run(rewritten, WINDOWS)[0], run(branched, WINDOWS)[0], rtol=1e-4, atol=1e-5)


def test_relu_stays_where_its_input_is_read_elsewhere() -> None:
    graph = run_passes(conv_norm_relu(), {"fold": fold_batch_norm})
    both = assemble(graph.inputs, ["n", "y"], graph.nodes, graph.values.values())
    assert [node.op for node in fuse_relu(both).nodes] == ["conv1d", "relu"]


def test_relu_behind_a_max_pool_fuses_into_the_layer_before_it() -> None:
    values = [series("x"), constant("w", 4, 3, 3), constant("b", 4), series("c", 10, 4), series("p", 5, 4)]
    nodes = [
        Node("conv1d", "conv", ("x", "w", "b"), ("c",), Conv1d(kernel=3)),
        Node("max_pool1d", "pool", ("c",), ("p",), MaxPool1d(2, 2)),
        Node("relu", "relu", ("p",), ("y",), Relu()),
    ]
    graph = assemble(["x"], ["y"], nodes, [*values, series("y", 5, 4)])
    rewritten = run_passes(graph, PASSES)
    assert [node.op for node in rewritten.nodes] == ["conv1d", "max_pool1d"]
    np.testing.assert_array_equal(run(rewritten, WINDOWS)[0], run(graph, WINDOWS)[0])


def test_identities_go_but_a_graph_output_keeps_its_name() -> None:
    graph = assemble(
        ["x"],
        ["y"],
        [
            Node("reshape", "same", ("x",), ("a",), Reshape((1, 12, 3))),
            Node("average_pool1d", "pool", ("a",), ("b",), AveragePool1d(12, 12)),
            Node("max_pool1d", "one", ("b",), ("y",), MaxPool1d(1, 1)),
        ],
        [series("x"), series("a"), series("b", 1), series("y", 1)],
    )
    (node,) = remove_identity(graph).nodes
    assert (node.op, node.inputs, node.outputs) == ("average_pool1d", ("x",), ("y",))


def test_pools_and_reshapes_share_the_scale_of_their_input() -> None:
    graph = assemble(
        ["x"],
        ["y"],
        [
            Node("max_pool1d", "max", ("x",), ("m",), MaxPool1d(2, 2)),
            Node("average_pool1d", "mean", ("m",), ("a",), AveragePool1d(6, 6)),
            Node("reshape", "flat", ("a",), ("y",), Reshape((1, 3))),
        ],
        [series("x"), series("m", 6), series("a", 1), Value("y", (1, 3))],
    )
    quantized = quantize(run_passes(calibrate(graph, WINDOWS), RANGE_PASSES))
    assert {quantized.values[n].quant for n in "xmay"} == {quantized.values["x"].quant}


def test_calibration_covers_all_batches_and_zero() -> None:
    windows = np.full((100, 12, 3), 2.0, np.float32)
    windows[99, 0, 0] = 7
    graph = calibrate(run_passes(conv_norm_relu(), PASSES), windows)
    seen = graph.values["x"].range
    assert seen is not None and (seen.low, seen.high) == (0, 7)
    windows[50, 3, 1] = np.nan
    with pytest.raises(ExportError, match=r"'x' takes the values .*nan"):
        calibrate(graph, windows)


def test_shared_weights_get_integers_of_their_own() -> None:
    """Two convolutions with one float weight: their biases need two scales."""
    values = [series("x", 12, 4), constant("w", 4, 1, 4), constant("b", 4), series("c", 12, 4), series("y", 12, 4)]
    nodes = [
        Node("conv1d", "first", ("x", "w", "b"), ("c",), Conv1d()),
        Node("conv1d", "second", ("c", "w", "b"), ("y",), Conv1d()),
    ]
    graph = calibrate(assemble(["x"], ["y"], nodes, values), RNG.normal(size=(8, 12, 4)).astype(np.float32))
    quantized = quantize(graph)
    biases = [quantized.values[node.inputs[2]] for node in quantized.nodes]
    assert biases[0].name != biases[1].name and biases[0].quant != biases[1].quant


def test_int8_is_near_float() -> None:
    graph = run_passes(conv_norm_relu(), PASSES)
    quantized = quantize(calibrate(graph, WINDOWS))
    x, y = quantized.values["x"].quantization, quantized.values["y"].quantization
    q = np.clip(np.rint(WINDOWS / x.scale) + x.zero_point, -128, 127).astype(np.int8)
    real = (run(quantized, q)[0].astype(np.float32) - y.zero_point) * y.scale
    expected = run(graph, WINDOWS)[0]
    assert np.abs(real - expected).max() < 0.03 * np.abs(expected).max()


def test_errors_name_what_is_wrong() -> None:
    graph = conv_norm_relu()
    with pytest.raises(UnsupportedOpError, match=r"'batch_norm' \(node 'norm'\) has no int8 form"):
        quantize(calibrate(graph, WINDOWS))
    with pytest.raises(ExportError, match="no calibrated range"):
        quantize(run_passes(graph, PASSES))
    with pytest.raises(UsageError, match=r"float64\[16, 12, 3\].*float32\[N, 12, 3\]"):
        run(graph, WINDOWS.astype(np.float64))
    with pytest.raises(UsageError, match=r"no recipe 'int4'; there are static_wi8_ai8, .*, float32"):
        recipe_named("int4")
    unknown = replace(graph.nodes[0], op="fft", attrs=Attrs())
    with pytest.raises(UnsupportedOpError, match="op 'fft' \\(node 'conv'\\) is not known"):
        run(Graph(graph.inputs, graph.outputs, (unknown, *graph.nodes[1:]), graph.values), WINDOWS)


def test_validate_finds_broken_graphs() -> None:
    graph = conv_norm_relu()
    with pytest.raises(ExportError, match="reads 'c', which nothing has computed"):
        assemble(["x"], ["y"], graph.nodes[1:], graph.values.values())
    with pytest.raises(ExportError, match="computes 'c' a second time"):
        assemble(["x"], ["y"], [graph.nodes[0], *graph.nodes], graph.values.values())
    with pytest.raises(ExportError, match="outputs \\['z'\\]"):
        assemble(["x"], ["z"], graph.nodes, graph.values.values())


def test_dump_shows_every_value() -> None:
    text = quantize(calibrate(run_passes(conv_norm_relu(), PASSES), WINDOWS)).dump()
    assert "conv1d" in text and "scales along axis 0" in text and "zero_point=-128" in text
