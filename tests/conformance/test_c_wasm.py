"""Kernels for speed in WebAssembly: bit for bit the numpy reference, with vectors of 16 bytes and without."""

from __future__ import annotations

import numpy as np
import pytest
from export_cases import CASES, int8_graph, side_by_side
from test_c_fast import random_cases
from test_c_mve import at_the_ends, windows_of
from test_export_ops import int8_inputs, run_reference

from device_sim.engines.wasm import WasmNetwork
from edgehar.bundle import Bundle
from edgehar.cli.networks import network_of_bundle
from firmware_export.graph import Graph
from firmware_export.targets.c import Optimize, write_network

COUNT = 72


@pytest.fixture(scope="module")
def graphs() -> list[Graph]:
    """Random shapes of the fast kernels, weights at the ends of int8 in every fifth; then a case of each other op."""
    made = [int8_graph(case, seed) for seed, case in enumerate(random_cases(COUNT, 1))]
    made = [at_the_ends(graph) if index % 5 == 0 else graph for index, graph in enumerate(made)]
    return [*made, *(int8_graph(cases[0], 0) for cases in CASES.values())]


@pytest.mark.parametrize(
    ("simd", "optimize"), [(True, Optimize.SPEED), (True, Optimize.BALANCED), (False, Optimize.SPEED)]
)
def test_every_op_is_exact(simd: bool, optimize: Optimize, graphs: list[Graph]) -> None:
    network = WasmNetwork(write_network(side_by_side(graphs), optimize=optimize), simd=simd)
    given = [windows_of(graph, index) for index, graph in enumerate(graphs)]
    expected = [run_reference(graph, inputs) for graph, inputs in zip(graphs, given, strict=True)]
    for row in range(2):
        outputs = network.infer(*(x[row] for inputs in given for x in inputs))
        for graph, found, want in zip(graphs, outputs, expected, strict=True):
            assert np.array_equal(found, want[row].ravel()), graph.nodes[0]


@pytest.mark.parametrize("name", ["ds_cnn", "bilstm"])
def test_whole_networks_are_exact(name: str) -> None:
    network = network_of_bundle(Bundle.open(f"zoo:{name}"), 4, "speed")
    for simd in (True, False):
        module = WasmNetwork(network.sources, simd=simd)
        rows = [module.infer(*window) for window in zip(*network.windows, strict=True)]
        assert network.is_exact([np.stack(arrays) for arrays in zip(*rows, strict=True)])


def test_inputs_of_another_size_are_refused(graphs: list[Graph]) -> None:
    module = WasmNetwork(write_network(graphs[0]))
    (window,) = (x[0] for x in int8_inputs(graphs[0], 0))
    with pytest.raises(ValueError, match=rf"expected {window.size} of int8"):
        module.infer(window[1:])
