"""Convolutions by ``winograd``: the integers of plain sums, for any weights that are taken; others are refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from c_cases import STRICT, compile_networks, compilers, run_network
from export_cases import Case, conv, int8_graph, side_by_side
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_export_ops import run_reference

from device_sim.emulator import CORES, profile_network
from device_sim.engines.wasm import WasmNetwork
from firmware_export.graph import Graph, assemble
from firmware_export.ops.op import FusedActivation
from firmware_export.targets.c import Optimize, write_network
from firmware_export.targets.c.fast.conv1d import direct_conv1d, fast_conv1d
from firmware_export.targets.c.fast.winograd import TILES, transformed
from firmware_export.targets.c.fast.winograd_conv1d import winograd_conv1d
from firmware_export.targets.c.layer import layers

INT8 = st.one_of(st.integers(-128, 127), st.sampled_from([-128, 127]))
TAPS = st.sampled_from(sorted(TILES))
EXTREMES = np.array([-128, 127], np.int8)


@settings(deadline=None, derandomize=True)
@given(st.data(), TAPS, st.integers(1, 9), st.integers(-(2**26), 2**26))
def test_two_positions_are_those_of_plain_sums(data: st.DataObject, taps: int, channels: int, bias: int) -> None:
    """In int32 that wraps around, as the core's registers do."""
    tile = TILES[taps]
    weight = data.draw(arrays(np.int8, (1, taps, channels), elements=INT8))
    x = data.draw(arrays(np.int8, (taps + 1, channels), elements=INT8)).astype(np.int64)
    found = transformed(tile, weight, np.array([bias], np.int32))
    expected = [bias + int((x[i : i + taps] * weight[0]).sum()) for i in range(2)]
    if found is None:
        reach = abs(bias) + 128 * int(np.abs(weight.astype(np.int64)).sum())
        assert reach * tile.denominator >= 2**31
        return
    products = (tile.rows @ x * found[0].astype(np.int64)).sum(axis=1)
    running = np.cumsum([tile.denominator * bias, *products]).astype(np.int32)[1:]
    second = (running * np.asarray(tile.second, np.int64)).sum().astype(np.int32)
    assert [running[-2], second] == [tile.denominator * each for each in expected]


@dataclass(frozen=True)
class Convolution:
    case: Case
    seed: int
    weights: str  # a key of WEIGHTS, or "random"

    def graph(self) -> Graph:
        graph = int8_graph(self.case, self.seed)
        weight = graph.values["in1"].data
        assert weight is not None
        rng = np.random.default_rng(self.seed)
        return with_constants(graph, WEIGHTS[self.weights](weight, rng) if self.weights in WEIGHTS else weight)


WEIGHTS = {
    "extreme": lambda weight, rng: rng.choice(EXTREMES, weight.shape),
    "of one sign": lambda weight, rng: rng.choice(EXTREMES, (len(weight), 1, 1)) * np.ones_like(weight),
}


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    """Of which winograd takes most: enough channels, at least six positions."""
    taps = draw(TAPS)
    padding = draw(st.sampled_from([(0, 0), (taps // 2, taps // 2), (taps - 1, 0), (3, 7)]))
    shape = (1, taps + draw(st.integers(5, 17)), 4 * draw(st.integers(4, 20)))
    activation = draw(st.sampled_from(FusedActivation))
    case = conv(shape, draw(st.integers(16, 25)), kernel=taps, padding=padding, activation=activation)
    return Convolution(case, draw(st.integers(0, 2**20)), draw(st.sampled_from(["random", *WEIGHTS])))


def with_constants(graph: Graph, weight: np.ndarray, bias: np.ndarray | None = None) -> Graph:
    values = dict(graph.values)
    values["in1"] = replace(values["in1"], data=weight.astype(np.int8))
    if bias is not None:
        values["in2"] = replace(values["in2"], data=bias.astype(np.int32))
    return assemble(graph.inputs, graph.outputs, graph.nodes, values.values())


def hard_inputs(graph: Graph, seed: int) -> list[np.ndarray]:
    """Windows: of one extreme, of both at random, of anything."""
    shape = graph.values[graph.inputs[0]].shape[1:]
    rng = np.random.default_rng(seed)
    extreme = [np.full(shape, value, np.int8) for value in EXTREMES]
    return [np.stack([*extreme, rng.choice(EXTREMES, shape), rng.integers(-128, 128, shape).astype(np.int8)])]


@settings(max_examples=2, deadline=None, derandomize=True, phases=[Phase.generate])  # a smaller example costs minutes
@given(st.lists(convolutions(), min_size=12, max_size=12))
def test_any_shape_padding_and_weights_are_exact(drawn: list[Convolution]) -> None:
    graphs = [each.graph() for each in drawn]
    taken = [winograd_conv1d(layers(graph)[0]) is not None for graph in graphs]
    assert sum(taken) > 6, taken
    inputs = [hard_inputs(graph, index) for index, graph in enumerate(graphs)]
    expected = [run_reference(graph, x) for graph, x in zip(graphs, inputs, strict=True)]
    for flags in (["-DHAR_PORTABLE"], []):  # the twin of the assembly; this computer's vectors
        library = compile_networks(graphs, compilers()["cc"], ("-O1", *flags), Optimize.SPEED)
        for index, graph in enumerate(graphs):
            (found,) = run_network(library, index, graph, inputs[index], Optimize.SPEED)
            assert np.array_equal(found, expected[index]), graph.nodes[0]
    network = write_network(side_by_side(graphs), optimize=Optimize.SPEED)
    profile = profile_network(network, [x for (x,) in inputs], CORES["cortex_m4f"], optimise=("-O1", *STRICT))
    for graph, found, want in zip(graphs, profile.outputs, expected, strict=True):
        assert np.array_equal(found.ravel(), want.ravel()), graph.nodes[0]
    module = WasmNetwork(network)
    for row in range(len(inputs[0][0])):
        for graph, found, want in zip(graphs, module.infer(*(x[row] for (x,) in inputs)), expected, strict=True):
            assert np.array_equal(found, want[row].ravel()), graph.nodes[0]


@pytest.mark.parametrize(("taps", "limit"), [(5, 2**31 // 24), (3, 2**30)])
def test_sums_that_could_leave_int32_are_refused(taps: int, limit: int) -> None:
    graph = int8_graph(conv((1, 34, 32), 16, kernel=taps), 0)
    zero_point = graph.values["in0"].quantization.zero_point
    weight = np.full(graph.values["in1"].shape, 127, np.int64)
    reach = 128 * weight[0].sum()
    for beyond, kernel in ((False, winograd_conv1d), (True, direct_conv1d)):
        bias = np.full(16, limit - reach - 2 + 3 * beyond)
        layer = layers(with_constants(graph, weight, bias + zero_point * weight[0].sum()))[0]
        chosen, expected = fast_conv1d(layer), kernel(layer)
        if beyond and taps == 3:
            assert chosen is None  # doubled, the plain sums leave int32 as well
        else:
            assert chosen is not None
            assert expected is not None
            assert chosen.body == expected.body
