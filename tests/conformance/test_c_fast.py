"""Kernels for speed: bit for bit the numpy reference, in assembly and in plain C on emulated cores, as twins here.

Many one-op graphs are one network with an input and an output each, so that they are built once.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from c_cases import STRICT, compile_networks, compilers, run_network
from export_cases import Case, conv, conv2d, depthwise, depthwise2d, int8_graph, lstm, saturating_lstms, side_by_side
from test_export_ops import int8_inputs, run_reference

from device_sim.emulator import CORES, profile_network
from edgehar.bundle import Bundle
from edgehar.cli.networks import network_of_bundle
from firmware_export.graph import Graph
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.dense import Dense
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.op import FusedActivation
from firmware_export.targets.c import Optimize, write_network
from firmware_export.targets.c.fast import FAST_EMITTERS, PACKED_EMITTERS
from firmware_export.targets.c.layer import layers

ACTIVATIONS = tuple(FusedActivation)
TWINS = ("-DHAR_PORTABLE",)  # of what is assembly on a core with the DSP extension
OTHERS = ("-U__SSE2__",)  # as if this computer had no vectors


def random_cases(count: int, seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)

    def draw(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    cases = []
    for index in range(count):
        kernel, stride = draw(1, 19), draw(1, 4)
        steps, channels = kernel + draw(0, 40), draw(1, 14)
        activation = ACTIVATIONS[draw(0, len(ACTIVATIONS) - 1)]
        padding = (draw(0, 3), draw(0, 3)) if index % 3 == 0 else (0, 0)
        window = {"kernel": kernel, "stride": stride, "padding": padding, "activation": activation}
        sides = (draw(1, 5), draw(1, 5))
        image = (1, sides[0] + draw(0, 9), sides[1] + draw(0, 9), channels)
        around = ((draw(0, 2), draw(0, 2)), (draw(0, 2), draw(0, 2))) if index % 4 == 0 else ((0, 0), (0, 0))
        flat = {"kernel": sides, "stride": (draw(1, 3), draw(1, 3)), "padding": around, "activation": activation}
        match index % 11:
            case 0:
                cases.append(depthwise((1, steps, channels), **window))
            case 1:
                inputs = 4 * channels + 1
                cases.append(Case("dense", Dense(activation), ((1, inputs), (draw(2, 30), inputs))))
            case 2:
                cases.append(Case("max_pool1d", MaxPool1d(max(2, kernel), stride), ((1, steps + 2, channels),)))
            case 3:
                cases.append(Case("average_pool1d", AveragePool1d(steps, stride), ((1, steps, 4 * channels),)))
            case 4:
                cases.append(depthwise2d(image, **flat))
            case 5:
                cases.append(conv2d(image, draw(1, 11), **flat))
            case 6:
                wide = (1, *(size + 4 for size in image[1:3]), draw(4, 40))
                cases.append(conv2d(wide, draw(2, 7), **flat | {"dilation": (draw(1, 2), draw(1, 2))}))
            case 7:
                cases.append(conv2d(image, draw(2, 11), activation=activation, padding=around))
            case 8:
                dilated = window | {"dilation": draw(2, 5), "kernel": draw(2, 5), "padding": (draw(0, 9), draw(0, 9))}
                cases.append(conv((1, steps + 20, channels), draw(2, 11), **dilated))
            case 9:
                inputs, units = (draw(1, 30), draw(1, 9)) if index % 2 else (draw(128, 150), 2)
                cases.append(lstm((1, 5, inputs), units))
            case _:
                cases.append(conv((1, steps + 4, channels), draw(1, 11), **window))
    return cases


def few_positions(seed: int) -> list[Case]:
    """Layers of one to ten positions, as a hop brings."""
    rng = np.random.default_rng(seed)

    def slide(stride: int, activation: FusedActivation, positions: int) -> tuple[int, dict[str, object]]:
        kernel = int(rng.integers(1, 6))
        beyond = int(rng.integers(0, stride))  # samples that no position sees
        window = {"kernel": kernel, "stride": stride, "activation": activation}
        return (positions - 1) * stride + kernel + beyond, window

    cases = []
    for positions in range(1, 11):
        steps, window = slide(1 + positions % 3, ACTIVATIONS[positions % 3], positions)
        cases.append(conv((1, steps, int(rng.integers(1, 14))), 2 + positions % 5, **window))
        if positions < 8:
            steps, window = slide(1 + positions % 4, ACTIVATIONS[positions % 3], positions)
            cases.append(depthwise((1, steps, int(rng.integers(1, 9))), **window))
    for positions in range(1, 6):
        stride, dilation, kernel = 1 + positions % 2, 2 + positions % 3, 2 + positions % 4
        steps = (positions - 1) * stride + (kernel - 1) * dilation + 1
        dilated = {"kernel": kernel, "stride": stride, "dilation": dilation, "activation": ACTIVATIONS[positions % 3]}
        cases += [conv((1, steps, channels), 2 + positions % 2, **dilated) for channels in (3, 8)]
    return [*cases, conv((1, 4, 40), 4, kernel=3), conv((1, 2, 3), 3, kernel=2, padding=(1, 0))]


@pytest.fixture(scope="module")
def graphs() -> list[Graph]:
    cases = [*random_cases(110, 0), *few_positions(0)]
    return [*(int8_graph(case, seed) for seed, case in enumerate(cases)), *saturating_lstms()]


def packed(graphs: list[Graph]) -> list[Graph]:
    """Half of those that have kernels of their own for ``balanced``."""
    return [each for each in graphs if PACKED_EMITTERS[(op := each.nodes[0].op)] is not FAST_EMITTERS[op]][::2]


def test_most_cases_have_a_fast_kernel(graphs: list[Graph]) -> None:
    taken = [FAST_EMITTERS[graph.nodes[0].op](layers(graph)[0]) is not None for graph in graphs]
    assert sum(taken) > 90, sum(taken)
    assert {graph.nodes[0].op for graph, fast in zip(graphs, taken, strict=True) if fast} == set(FAST_EMITTERS)


@pytest.mark.parametrize("optimize", Optimize)
def test_every_header_that_is_included_is_there(graphs: list[Graph], optimize: Optimize) -> None:
    for graph in graphs:
        files = write_network(graph, optimize=optimize).files
        included = {name for data in files.values() for name in re.findall(r'#include "(.+)"', data.decode())}
        assert included <= set(files), graph.nodes[0]


@pytest.mark.parametrize(
    ("optimize", "flags"),
    [(Optimize.SPEED, TWINS), (Optimize.BALANCED, TWINS), (Optimize.SPEED, OTHERS), (Optimize.SPEED, ())],
    ids=["speed", "balanced", "other_cores", "this_computer"],
)
def test_portable_c_is_exact(graphs: list[Graph], optimize: Optimize, flags: tuple[str, ...]) -> None:
    if optimize is Optimize.BALANCED:
        graphs = packed(graphs)
    library = compile_networks(graphs, compilers()["cc"], ("-O1", *flags), optimize)
    for index, graph in enumerate(graphs):
        inputs = int8_inputs(graph, index)
        (found,) = run_network(library, index, graph, inputs, optimize)
        assert np.array_equal(found, run_reference(graph, inputs)), graph.nodes[0]


@pytest.mark.parametrize(
    ("core", "optimize"),
    [
        ("cortex_m4f", Optimize.SPEED),
        ("cortex_m4f", Optimize.BALANCED),
        ("cortex_m0plus", Optimize.SPEED),
        ("rv32imc", Optimize.SPEED),
    ],
)
def test_the_emulated_core_is_exact(graphs: list[Graph], core: str, optimize: Optimize) -> None:
    if core != "cortex_m4f":  # nothing in assembly there
        graphs = graphs[:30]
    if optimize is Optimize.BALANCED:
        graphs = packed(graphs)
    network = write_network(side_by_side(graphs), optimize=optimize)
    inputs = [x[:2] for index, graph in enumerate(graphs) for x in int8_inputs(graph, index)]
    profile = profile_network(network, inputs, CORES[core], optimise=("-O1", *STRICT))
    for index, graph in enumerate(graphs):
        expected = run_reference(graph, [x[:2] for x in int8_inputs(graph, index)])
        assert np.array_equal(profile.outputs[index].ravel(), expected.ravel()), graph.nodes[0]


def test_balanced_is_nearly_as_fast_and_nearly_as_small() -> None:
    bundle = Bundle.open("zoo:ds_cnn")
    found = {}
    for optimize in (Optimize.SPEED, Optimize.BALANCED, Optimize.SIZE):
        network = network_of_bundle(bundle, 1, optimize)
        found[optimize] = profile_network(network.sources, network.windows, CORES["cortex_m4f"])
        assert network.is_exact(found[optimize].outputs)
    speed, balanced, size = found.values()
    assert balanced.cycles < 1.1 * speed.cycles
    assert size.flash_bytes < balanced.flash_bytes < 0.75 * speed.flash_bytes


@pytest.mark.parametrize("optimize", [Optimize.SPEED, Optimize.BALANCED])
def test_either_compiler_makes_the_same_of_it(optimize: Optimize) -> None:
    network = network_of_bundle(Bundle.open("zoo:ds_cnn"), 1, optimize)
    by_zig, by_gcc = (
        profile_network(network.sources, network.windows, CORES["cortex_m4f"], compiler) for compiler in ("zig", "gcc")
    )
    assert network.is_exact(by_gcc.outputs)
    for zig, gcc in zip(by_zig.layers, by_gcc.layers, strict=True):
        assert 0.9 < gcc.instructions / zig.instructions < 1.1, zig.name


@pytest.mark.parametrize("core", ["cortex_m0plus", "rv32imc"])
def test_kernels_for_speed_do_not_lose_without_the_dsp_extension(core: str) -> None:
    bundle = Bundle.open("zoo:ds_cnn_3k")
    found = []
    for optimize in (Optimize.SPEED, Optimize.SIZE):
        network = network_of_bundle(bundle, 1, optimize)
        found.append(profile_network(network.sources, network.windows, CORES[core]))
        assert network.is_exact(found[-1].outputs)
    speed, size = found
    assert speed.cycles < 1.001 * size.cycles
    assert speed.flash_bytes < 1.2 * size.flash_bytes
