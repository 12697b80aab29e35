"""Networks that compute only a hop's new columns: every window's outputs are those of the whole window, all bits."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest
from c_cases import compile_networks, compilers
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_networks import random_network

from device_sim.emulator import CORES, profile_network
from device_sim.emulator.qemu import count_on_qemu, qemu_missing
from edgehar.errors import UnsupportedOpError
from firmware_export.graph import Graph
from firmware_export.ops.crop1d import Crop1d
from firmware_export.reference import _run, run
from firmware_export.targets.c import Optimize, write_network
from firmware_export.targets.c.streaming import Stream, stream

HOPS = 6


def streamed(seed: int, window: int, channels: int, layers: int, factor: int) -> tuple[Graph, Stream] | None:
    """A network and what of it runs every hop, which is ``factor`` times its stride; None where nothing streams."""
    graph = random_network(seed, window, channels, layers)
    stride = math.prod(
        getattr(node.attrs, "stride", 1) for node in graph.nodes if graph.values[node.output].shape[1] > 1
    )
    try:
        return graph, stream(graph, window, factor * stride)
    except UnsupportedOpError:
        return None


def long_input(hops: Stream, channels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples ``[T, C]`` int8, and the windows of them ``[N, T, C]``."""
    feed = hops.feeding
    rng = np.random.default_rng(seed)
    samples = rng.integers(-128, 128, (feed.window + HOPS * feed.hop, channels)).astype(np.int8)
    return samples, np.stack([samples[i * feed.hop :][: feed.window] for i in range(HOPS + 1)])


def fed(hops: Stream, samples: np.ndarray) -> list[np.ndarray]:
    """What the network is given, hop by hop; the first window takes several."""
    feed = hops.feeding
    first = (feed.window - 1) % feed.hop + 1
    padded = np.pad(samples, ((feed.rows, 0), (0, 0)))
    return [padded[end : end + feed.rows] for end in range(first, len(samples) + 1, feed.hop)]


def by_numpy(hops: Stream, given: list[np.ndarray]) -> np.ndarray:
    """Outputs of every hop, by the reference of every op; an activation goes about with the columns before it."""
    rng = np.random.default_rng(0)
    graph = hops.graph
    past = {
        name: rng.integers(-128, 128, (1, count, graph.values[name].shape[2])).astype(np.int8)
        for name, count in hops.kept.items()
    }
    outputs = []
    for rows in given:
        values, before = {graph.inputs[0]: rows[None]}, {graph.inputs[0]: 0}
        for node in graph.nodes:
            name, source = node.output, node.inputs[0]
            if isinstance(node.attrs, Crop1d):  # a view, of columns before the new ones too
                begin = before[source] + node.attrs.start
                assert begin >= 0
                values[name], before[name] = values[source][:, : begin + node.attrs.length], begin
                continue
            seen = {i: values[i][:, before[i] :] for i in node.inputs if i in values}
            new = _run(graph, node, seen)[name]
            kept = past.get(name, new[:, :0])
            values[name], before[name] = np.concatenate([kept, new], axis=1), hops.kept.get(name, 0)
            past[name] = values[name][:, new.shape[1] :] if name in hops.kept else kept
        outputs.append(values[graph.outputs[0]][0])
    return np.stack(outputs)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.integers(8, 60), st.integers(1, 5), st.integers(1, 5), st.integers(1, 9))
def test_a_hop_computes_what_the_window_does(seed: int, window: int, channels: int, layers: int, factor: int) -> None:
    made = streamed(seed, window, channels, layers, factor)
    if made is None:
        return
    graph, hops = made
    samples, windows = long_input(hops, channels, seed)
    found = by_numpy(hops, fed(hops, samples))[-HOPS - 1 :]
    assert np.array_equal(found, run(graph, windows)[0])
    assert hops.macs <= hops.window_macs


@pytest.fixture(scope="module")
def networks() -> list[tuple[Graph, Stream]]:
    rng = np.random.default_rng(1)
    made = []
    while len(made) < 14:
        seed, window, channels, layers, factor = (
            int(rng.integers(*r)) for r in ((0, 999), (16, 60), (1, 9), (2, 6), (1, 6))
        )
        found = streamed(seed, window, channels, layers, factor)
        if found is not None and found[1].kept:
            made.append(found)
    return made


@pytest.mark.parametrize("optimize", Optimize)
def test_the_same_in_c(networks: list[tuple[Graph, Stream]], optimize: Optimize) -> None:
    library = compile_networks([hops for _, hops in networks], compilers()["cc"], optimize=optimize)
    for index, (graph, hops) in enumerate(networks):
        samples, windows = long_input(hops, graph.values["x"].shape[2], index)
        arena = np.full(write_network(hops, optimize=optimize).arena_bytes // 8, 0x5A5A5A5A5A5A5A5A, np.int64)
        found = []
        for rows in fed(hops, samples):
            found.append(np.empty(graph.values[graph.outputs[0]].shape[1], np.int8))
            arrays = (arena, np.ascontiguousarray(rows), found[-1])
            getattr(library, f"case_{index}_run")(*(ctypes.c_void_p(a.ctypes.data) for a in arrays))
        assert np.array_equal(found[-HOPS - 1 :], run(graph, windows)[0]), hops.graph.dump()


def test_the_same_on_an_emulated_core(networks: list[tuple[Graph, Stream]]) -> None:
    for index, (graph, hops) in enumerate(networks[:4]):
        _, windows = long_input(hops, graph.values["x"].shape[2], index)
        profile = profile_network(write_network(hops, optimize=Optimize.SPEED), windows[:3], CORES["cortex_m4f"])
        assert np.array_equal(profile.outputs[0], run(graph, windows[:3])[0])
        assert profile.macs == hops.macs


def test_qemu_counts_the_hop(networks: list[tuple[Graph, Stream]]) -> None:
    assert qemu_missing() is None, "run tools/install_test_programs.sh"
    graph, hops = networks[0]
    _, windows = long_input(hops, graph.values["x"].shape[2], 0)
    network = write_network(hops, optimize=Optimize.SPEED)
    found = count_on_qemu(network, [windows], "cortex_m4f")
    assert np.array_equal(found.outputs[0], run(graph, windows)[0])
    here = profile_network(network, windows, CORES["cortex_m4f"]).instructions
    assert abs(found.instructions - here) <= found.machine.tick
