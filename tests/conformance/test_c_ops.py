"""Every op as C: bit for bit the numpy reference, warnings as errors, by gcc and by clang."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from c_cases import compile_networks, compilers, run_network
from export_cases import CASES, Case, conv, depthwise, int8_graph, lstm, saturating_lstms
from hypothesis import given, settings
from hypothesis import strategies as st
from test_export_ops import WITH_INT8, int8_inputs, run_reference

from edgehar.errors import ExportError, UnsupportedOpError
from firmware_export.graph import Graph, Node, Quantization, Value, assemble
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.batch_matmul import BatchMatmul
from firmware_export.ops.crop1d import Crop1d
from firmware_export.ops.l2_norm import L2Norm
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.op import FusedActivation
from firmware_export.ops.relu import Relu
from firmware_export.ops.reshape import Reshape
from firmware_export.ops.softmax import Softmax
from firmware_export.reference import run
from firmware_export.targets.c import EMITTERS, Optimize, write_network

ALL = [(case, seed) for cases in CASES.values() for case in cases for seed in range(2)]


def test_every_int8_op_has_an_emitter() -> None:
    assert set(EMITTERS) == WITH_INT8


def differences(
    library: ctypes.CDLL, graphs: list[Graph], seeds: list[int], optimize: Optimize = Optimize.SIZE
) -> list[str]:
    found = []
    for index, (graph, seed) in enumerate(zip(graphs, seeds, strict=True)):
        inputs = int8_inputs(graph, seed)
        (output,) = run_network(library, index, graph, inputs, optimize)
        expected = run_reference(graph, inputs)
        if not np.array_equal(output, expected):
            found.append(f"{graph.nodes[0]}: {np.abs(output.astype(int) - expected).max()} steps")
    return found


@pytest.mark.parametrize("optimize", Optimize)
@pytest.mark.parametrize("compiler", ["cc", "zig"])
def test_cases_are_exact(compiler: str, optimize: Optimize) -> None:
    graphs = [int8_graph(case, seed) for case, seed in ALL]
    library = compile_networks(graphs, compilers()[compiler], ("-O1", "-DHAR_PORTABLE"), optimize)
    assert differences(library, graphs, [seed for _, seed in ALL], optimize) == []


ACTIVATIONS = st.sampled_from(FusedActivation)


@st.composite
def convolutions(draw: st.DrawFn) -> Case:
    kernel, dilation = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    settings_ = {
        "kernel": kernel,
        "dilation": dilation,
        "stride": draw(st.integers(1, 4)),
        "padding": (draw(st.integers(0, 4)), draw(st.integers(0, 4))),
        "activation": draw(ACTIVATIONS),
    }
    steps = (kernel - 1) * dilation + draw(st.integers(1, 13))
    if draw(st.booleans()):
        return depthwise((1, steps, draw(st.integers(1, 9))), multiplier=draw(st.integers(1, 3)), **settings_)
    groups = draw(st.integers(1, 3))
    channels, outputs = groups * draw(st.integers(1, 9)), groups * draw(st.integers(1, 7))
    return conv((1, steps, channels), outputs, groups=groups, **settings_)


@st.composite
def pools(draw: st.DrawFn) -> Case:
    kernel, stride = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    shape = (1, kernel + draw(st.integers(0, 12)), draw(st.integers(1, 9)))
    if draw(st.booleans()):
        return Case("average_pool1d", AveragePool1d(kernel, stride), (shape,))
    padding = (draw(st.integers(0, kernel - 1)), draw(st.integers(0, kernel - 1)))
    return Case("max_pool1d", MaxPool1d(kernel, stride, padding), (shape,))


@st.composite
def others(draw: st.DrawFn) -> Case:
    t, c, n = (draw(st.integers(1, 20)) for _ in range(3))
    transposed = draw(st.booleans())
    return draw(
        st.sampled_from(
            [
                Case("softmax", Softmax(), ((1, t, c),)),
                Case("l2_norm", L2Norm(), ((1, t, 8 * c),)),
                Case("batch_matmul", BatchMatmul(transposed), ((1, t, c), (1, n, c) if transposed else (1, c, n))),
                lstm((1, t, c), n),
            ]
        )
    )


@settings(max_examples=2, deadline=None, derandomize=True)
@given(st.lists(st.one_of(convolutions(), pools(), others()), min_size=40, max_size=40), st.integers(0, 2**20))
def test_any_shape_stride_padding_and_zero_point_is_exact(cases: list[Case], seed: int) -> None:
    seeds = [seed + i for i in range(len(cases))]
    graphs = [int8_graph(case, s) for case, s in zip(cases, seeds, strict=True)]
    assert differences(compile_networks(graphs, compilers()["cc"]), graphs, seeds) == []


def test_factors_above_one_saturate() -> None:
    """A left shift that would leave int32 is held at its end: the output is saturated there anyway."""
    graphs = []
    for seed in range(4):
        graph = int8_graph(conv((1, 6, 90), 4, kernel=5), seed)
        values = dict(graph.values)
        values["in1"] = replace(values["in1"], quant=Quantization((512.0,) * 4, 0, 0))
        graphs.append(assemble(graph.inputs, graph.outputs, graph.nodes, values.values()))
    assert differences(compile_networks(graphs, compilers()["cc"]), graphs, [0, 1, 2, 3]) == []


def test_lstm_that_saturates_at_every_cell_scale() -> None:
    graphs = saturating_lstms()
    assert differences(compile_networks(graphs, compilers()["cc"]), graphs, list(range(7))) == []


def test_softmax_over_all_scales() -> None:
    graphs = []
    for seed, exponent in enumerate(np.linspace(-12, 1, 24)):
        graph = int8_graph(CASES["softmax"][seed % 3], seed)
        quant = Quantization((float(np.float32(2.0**exponent)),), 3)
        sharp = replace(graph.values["in0"], quant=quant)
        graphs.append(assemble(["in0"], ["out"], graph.nodes, [*graph.values.values(), sharp]))
    assert differences(compile_networks(graphs, compilers()["cc"]), graphs, list(range(24))) == []


def chain(ops: list[tuple[str, object, tuple[int, ...]]], outputs: tuple[int, ...]) -> Graph:
    """``features`` [1, 6, 4] through ops of one scale; ``outputs`` are the positions of those the caller wants."""
    quant = Quantization((0.0625,), 3)
    values = [Value("v0", (1, 6, 4), "int8", quant)]
    nodes = []
    for index, (op, attrs, shape) in enumerate(ops, 1):
        values.append(Value(f"v{index}", shape, "int8", quant))
        nodes.append(Node(op, f"n{index}", (f"v{index - 1}",), (f"v{index}",), attrs))  # type: ignore[arg-type]
    return assemble(["v0"], [f"v{i}" for i in outputs], nodes, values)


def test_views_and_outputs_in_the_middle() -> None:
    """Reshape and crop move nothing unless the caller wants their output, alone or together with what follows."""
    relu = Relu(FusedActivation.RELU)
    crop, flat = ("crop1d", Crop1d(2, 3), (1, 3, 4)), ("reshape", Reshape((1, 12)), (1, 12))
    chains = [
        chain([crop, flat], (2,)),
        chain([crop, flat], (1, 2)),
        chain([("relu", relu, (1, 6, 4)), crop, flat, ("relu", relu, (1, 12))], (4,)),
        chain([("relu", relu, (1, 6, 4)), crop, flat, ("relu", relu, (1, 12))], (1, 3, 4)),
    ]
    library = compile_networks(chains, compilers()["cc"])
    x = np.random.default_rng(0).integers(-128, 128, (5, 6, 4)).astype(np.int8)
    clamped = np.maximum(x, 3)
    cropped, flat_clamped = x[:, 2:5], clamped[:, 2:5].reshape(5, 12)
    expected = [
        [cropped.reshape(5, 12)],
        [cropped, cropped.reshape(5, 12)],
        [flat_clamped],
        [clamped, flat_clamped, flat_clamped],
    ]
    for index, (graph, arrays) in enumerate(zip(chains, expected, strict=True)):
        for found, array in zip(run_network(library, index, graph, [x]), arrays, strict=True):
            assert np.array_equal(found, array), index


def test_nodes_of_one_name_are_kept_apart() -> None:
    """A reader that makes two nodes of one operator gives both its name."""
    relu = ("relu", Relu(FusedActivation.RELU), (1, 6, 4))
    pool, flat = ("max_pool1d", MaxPool1d(2, 2, (0, 0)), (1, 3, 4)), ("reshape", Reshape((1, 12)), (1, 12))
    graph = chain([relu, pool, flat], (3,))
    same = replace(graph, nodes=tuple(replace(node, name="same") for node in graph.nodes))
    x = np.random.default_rng(1).integers(-128, 128, (5, 6, 4)).astype(np.int8)
    (found,) = run_network(compile_networks([same], compilers()["cc"]), 0, same, [x])
    assert np.array_equal(found, run(graph, x)[0])


def test_what_has_no_form_in_c_is_refused_by_name() -> None:
    graph = int8_graph(CASES["relu"][0], 0)
    unknown = replace(graph, nodes=(replace(graph.nodes[0], op="gelu"),))
    with pytest.raises(UnsupportedOpError, match=r"target 'c' cannot write op 'gelu' \(node 'node'\)"):
        write_network(unknown)
    wide = replace(graph, values={k: replace(v, dtype="int16") for k, v in graph.values.items()})
    with pytest.raises(UnsupportedOpError, match=r"node 'node' \(relu\) works on int16 activations"):
        write_network(wide)
    graph = int8_graph(CASES["dense"][0], 0)
    bias = replace(graph.values["in2"], data=np.full(5, 2**31 - 1, np.int32))
    with pytest.raises(ExportError, match=r"sums of node 'node' \(dense\) reach"):
        write_network(replace(graph, values={**graph.values, "in2": bias}))
