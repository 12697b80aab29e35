"""Networks in C on emulated cores: bit for bit the numpy reference, layers attributed, figures reproducible."""

from __future__ import annotations

import numpy as np
import pytest
from export_cases import CASES, conv, int8_graph
from test_export_ops import int8_inputs, run_reference

from device_sim.emulator import CORES, Profile, profile_network
from device_sim.emulator.qemu import MACHINES, count_on_qemu, qemu_missing
from edgehar.errors import EngineError, UsageError
from firmware_export.graph import Graph, Node, Quantization, Value, assemble
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.dense import Dense
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.op import FusedActivation
from firmware_export.ops.reshape import Reshape
from firmware_export.reference import run
from firmware_export.targets.c import write_network

M4 = CORES["cortex_m4f"]


def small_cnn() -> Graph:
    """Convolution, pool, flatten (a view), dense."""
    rng = np.random.default_rng(3)

    def values(name: str, outputs: int, *products: int) -> list[Value]:
        weight = rng.integers(-127, 128, (outputs, *products)).astype(np.int8)
        scales = tuple(float(np.float32(s)) for s in 2.0 ** rng.uniform(-9, -7, outputs))
        bias = rng.integers(-500, 500, outputs).astype(np.int32)
        return [
            Value(f"{name}_w", weight.shape, "int8", Quantization(scales, 0, 0), weight),
            Value(f"{name}_b", bias.shape, "int32", Quantization(scales, 0, 0), bias),
        ]

    nodes = [
        Node("conv1d", "conv", ("x", "conv_w", "conv_b"), ("a",), Conv1d(FusedActivation.RELU, kernel=5)),
        Node("max_pool1d", "pool", ("a",), ("b",), MaxPool1d(4, 4)),
        Node("reshape", "flat", ("b",), ("c",), Reshape((1, 56))),
        Node("dense", "head", ("c", "head_w", "head_b"), ("y",), Dense()),
    ]
    hidden = Quantization((0.0625,), -128)
    every = [
        Value("x", (1, 32, 6), "int8", Quantization((0.03125,), 2)),
        Value("a", (1, 28, 8), "int8", hidden),
        Value("b", (1, 7, 8), "int8", hidden),
        Value("c", (1, 56), "int8", hidden),
        Value("y", (1, 5), "int8", Quantization((0.25,), 4)),
        *values("conv", 8, 5, 6),
        *values("head", 5, 56),
    ]
    return assemble(["x"], ["y"], nodes, every)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return small_cnn()


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    return np.random.default_rng(1).integers(-128, 128, (6, 32, 6)).astype(np.int8)


@pytest.mark.parametrize("core", CORES)
def test_every_core_gives_the_reference_bits(core: str, graph: Graph, windows: np.ndarray) -> None:
    profile = profile_network(write_network(graph), windows, CORES[core])
    assert np.array_equal(profile.outputs[0], run(graph, windows)[0])
    assert [(layer.name, layer.op) for layer in profile.layers] == [
        ("conv", "conv1d"),
        ("pool", "max_pool1d"),
        ("head", "dense"),
    ]
    assert profile.macs == 28 * 8 * 30 + 5 * 56
    between = profile.instructions - sum(layer.instructions for layer in profile.layers)
    assert 0 < between < 60  # calls of the layers
    assert 1 < profile.layers[0].instructions / profile.layers[0].macs < 12
    assert profile.instructions <= profile.worst_instructions
    assert profile.layers[0].cycles > profile.layers[2].cycles > 0
    assert profile.ram_bytes >= write_network(graph).arena_bytes + 32 * 6 + 5
    assert profile.flash_bytes > write_network(graph).weight_bytes
    assert 0 < profile.stack_bytes < 300


def test_a_profile_is_reproducible(graph: Graph, windows: np.ndarray) -> None:
    def figures(profile: Profile) -> dict[str, object]:
        return {name: value for name, value in vars(profile).items() if name != "outputs"}

    first, second = (profile_network(write_network(graph), windows, M4) for _ in range(2))
    assert figures(first) == figures(second)
    one = profile_network(write_network(graph), windows[:1], M4)
    assert one.instructions == one.worst_instructions
    small = profile_network(write_network(graph), windows, M4, optimise=("-Os",))
    assert small.flash_bytes < first.flash_bytes
    assert small.instructions > first.instructions


def test_windows_that_do_not_fit_are_refused(graph: Graph, windows: np.ndarray) -> None:
    network = write_network(graph)
    with pytest.raises(ValueError, match=r"input 0 is int8\[31, 6\], expected 192 of int8"):
        profile_network(network, windows[:, :31], M4)
    with pytest.raises(ValueError, match="no windows"):
        profile_network(network, windows[:0], M4)


@pytest.mark.parametrize("op", ["lstm", "softmax", "l2_norm", "batch_matmul"])
@pytest.mark.parametrize("core", ["cortex_m0plus", "rv32imc"])
def test_ops_with_wide_arithmetic_on_the_smallest_cores(op: str, core: str) -> None:
    """64-bit products and divisions come from the compiler's library there, and words must be aligned."""
    graph = int8_graph(CASES[op][0], 0)
    inputs = int8_inputs(graph, 0)
    (output,) = profile_network(write_network(graph), [x[:3] for x in inputs], CORES[core]).outputs
    assert np.array_equal(output.ravel(), run_reference(graph, [x[:3] for x in inputs]).ravel())


def test_a_layer_that_was_inlined_is_found_out(graph: Graph, windows: np.ndarray) -> None:
    network = write_network(int8_graph(conv((1, 9, 4), 4, kernel=3), 0))
    inlined = {name: text.replace(b"HAR_LAYER static", b"static") for name, text in network.files.items()}
    with pytest.raises(EngineError, match="no function 'layer_0_conv1d' to be told apart"):
        profile_network(type(network)(**{**vars(network), "files": inlined}), windows[:1, :9, :4], M4)


@pytest.mark.parametrize("core", MACHINES)
def test_qemu_counts_the_same(core: str, graph: Graph, windows: np.ndarray) -> None:
    """Another emulator, within one tick of its timer; a Cortex-M55, which it alone has, saves some by its vectors."""
    assert qemu_missing() is None, "run tools/install_test_programs.sh"
    network = write_network(graph)
    found = count_on_qemu(network, [windows], core)
    assert np.array_equal(found.outputs[0], run(graph, windows)[0])
    other = profile_network(network, windows, CORES.get(core, M4))
    if core in CORES:
        assert abs(found.instructions - other.instructions) <= found.machine.tick
    else:
        assert 0.1 * other.instructions < found.instructions < other.instructions


def test_without_qemu_it_says_how_to_get_it(graph: Graph, windows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    network = write_network(graph)
    with pytest.raises(UsageError, match="no QEMU board with the core 'rv32imc'; there are cortex_m4f"):
        count_on_qemu(network, [windows], "rv32imc")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="on Debian: apt-get install qemu-system-arm"):
        count_on_qemu(network, [windows], "cortex_m55")
