"""Kernels for MVE: bit for bit the numpy reference, on QEMU's Cortex-M55 and as portable C on this computer.

Shapes, strides, paddings, zero points and scales are random, with weights and inputs at the ends of int8 among them.
Many one-op graphs are one network, so that they are built once and QEMU starts once.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from c_cases import STRICT, compile_networks, compilers, run_network
from export_cases import Case, conv, depthwise, int8_graph, lstm, side_by_side
from test_c_fast import ACTIVATIONS
from test_export_ops import int8_inputs, run_reference

from device_sim.emulator.qemu import count_on_qemu, qemu_missing
from edgehar.bundle import Bundle
from edgehar.cli.networks import network_of_bundle
from firmware_export.graph import Graph
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.dense import Dense
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.mean import Mean
from firmware_export.targets.c import Optimize, write_network
from firmware_export.targets.c.layer import layers
from firmware_export.targets.c.mve import MVE_EMITTERS

CASES = 96
M55 = "cortex_m55"


def random_cases(count: int, seed: int) -> list[Case]:
    """A third of the convolutions slide over channels of 16, 32, ...; some have fewer positions than a turn takes."""
    rng = np.random.default_rng(seed)

    def draw(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    cases = []
    for index in range(count):
        kernel, stride, channels = draw(1, 19), draw(1, 4), draw(1, 35)
        steps = kernel + draw(0, 30)
        activation = ACTIVATIONS[draw(0, len(ACTIVATIONS) - 1)]
        padding = (draw(0, 3), draw(0, 3)) if index % 3 == 0 else (0, 0)
        window = {"kernel": kernel, "stride": stride, "padding": padding, "activation": activation}
        match index % 8:
            case 0:
                cases.append(depthwise((1, steps, channels), **window))
            case 1:
                cases.append(Case("dense", Dense(activation), ((1, 3 * channels), (draw(1, 30), 3 * channels))))
            case 2:
                pool = MaxPool1d(max(2, kernel), stride)
                cases.append(Case("max_pool1d", pool, ((1, steps + 2, channels),)))
            case 3 if index % 16 < 8:
                cases.append(Case("mean", Mean(), ((1, steps, channels),)))
            case 3:
                cases.append(Case("average_pool1d", AveragePool1d(steps, stride), ((1, steps, channels),)))
            case 4:
                sliding = {**window, "stride": 1, "kernel": draw(2, 7)}
                cases.append(conv((1, 7 + draw(0, 12), 16 * draw(1, 9)), draw(1, 7), **sliding))
            case 5:
                cases.append(lstm((1, draw(1, 9), draw(1, 35)), draw(1, 35)))
            case _:
                cases.append(conv((1, steps, channels), draw(1, 9), **window))
    return [*cases, conv((1, 26, 271), 2, kernel=21)]  # longer than the assembly's offsets reach


def at_the_ends(graph: Graph) -> Graph:
    """The same layer with every weight -127 or 127."""
    ends = {
        name: replace(value, data=np.where(value.data < 0, -127, 127).astype(np.int8))
        for name, value in graph.values.items()
        if value.data is not None and value.dtype == "int8"
    }
    return replace(graph, values={**graph.values, **ends})


@pytest.fixture(scope="module")
def graphs() -> list[Graph]:
    made = [int8_graph(case, seed) for seed, case in enumerate(random_cases(CASES, 0))]
    return [at_the_ends(graph) if index % 5 == 0 else graph for index, graph in enumerate(made)]


def windows_of(graph: Graph, index: int) -> list[np.ndarray]:
    """Two windows: all 127 and random ones; where weights are at the ends of int8, all -128 and both ends."""
    inputs = int8_inputs(graph, index)
    if index % 5:
        return [x[1:3] for x in inputs]
    return [np.where(x[[0, 2]] < 0, -128, 127).astype(np.int8) for x in inputs]


def test_most_cases_have_a_kernel(graphs: list[Graph]) -> None:
    taken = [MVE_EMITTERS[graph.nodes[0].op](layers(graph)[0]) is not None for graph in graphs]
    assert sum(taken) > 0.8 * CASES
    assert {graph.nodes[0].op for graph, kernel in zip(graphs, taken, strict=True) if kernel} == set(MVE_EMITTERS)


def test_portable_c_is_exact(graphs: list[Graph]) -> None:
    library = compile_networks(graphs, compilers()["cc"], optimize=Optimize.MVE)
    for index, graph in enumerate(graphs):
        inputs = windows_of(graph, index)
        (found,) = run_network(library, index, graph, inputs, Optimize.MVE)
        assert np.array_equal(found, run_reference(graph, inputs)), graph.nodes[0]


def test_cortex_m55_is_exact(graphs: list[Graph]) -> None:
    assert qemu_missing() is None, "run tools/install_test_programs.sh"
    network = write_network(side_by_side(graphs), optimize=Optimize.MVE)
    inputs = [x for index, graph in enumerate(graphs) for x in windows_of(graph, index)]
    found = count_on_qemu(network, inputs, M55, optimise=STRICT)
    for index, graph in enumerate(graphs):
        expected = run_reference(graph, windows_of(graph, index))
        assert np.array_equal(found.outputs[index].ravel(), expected.ravel()), graph.nodes[0]


@pytest.mark.parametrize("name", ["ds_cnn", "bilstm"])
def test_the_zoo_is_exact_at_less_than_half_of_the_instructions(name: str) -> None:
    bundle = Bundle.open(f"zoo:{name}")
    counts = {}
    for optimize in (Optimize.MVE, Optimize.SPEED):
        network = network_of_bundle(bundle, 2, optimize)
        found = count_on_qemu(network.sources, network.windows, M55)
        assert network.is_exact(found.outputs)
        counts[optimize] = found.instructions
    assert counts[Optimize.MVE] < counts[Optimize.SPEED] / 2
