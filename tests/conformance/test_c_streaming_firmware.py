"""Firmware that streams is the Python device on whole windows: from reset on, with damaged samples, at any hop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from c_cases import STRICT, compilers
from device_fixtures import LABELS, synthetic_recording, tiny_manifest
from stream_networks import ACT, RELU, Builder

from device_sim.emulator import CORES
from device_sim.emulator.firmware import EmulatedFirmware
from device_sim.engines import open_engine
from device_sim.firmware import Twins
from edgehar.bundle import Bundle, write_bundle
from edgehar.c_compiler import FLAGS
from edgehar.c_pipeline import CPipeline, firmware_files
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import UnsupportedOpError, UsageError
from edgehar.manifest import Head, ModelInput
from edgehar.signal import QuantParams
from firmware_export.graph import Graph
from firmware_export.ops.add_constant import AddConstant
from firmware_export.ops.concat import Concat
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.reference import run
from firmware_export.targets.c import write_firmware
from firmware_export.targets.c.streaming import stream

WINDOW, FEATURES = 45, 9
GEOMETRIES = [4, 12, 16, 44, 45, 60]  # hops: the stride, divisors of nothing, nearly a window, one, and with a gap


def network() -> Graph:
    """A column every 4 samples; the last samples of a window are in no column."""
    b = Builder(WINDOW, FEATURES, 3)
    x = b.conv("x", 8, kernel=5, stride=2, activation=RELU)
    x = b.depthwise(x, kernel=3, stride=2, activation=RELU)
    x = b.conv(x, 12, activation=RELU)
    return b.end(b.add("max_pool1d", MaxPool1d(3, 1), x), mean=True)


def two_inputs() -> Graph:
    """Columns of acc and gyro apart, kernels of another length each, side by side from then on."""
    b = Builder(WINDOW, 3, 4)
    b.values["z"] = replace(b.values["x"], name="z", shape=(1, WINDOW, 6))
    b.inputs.append("z")
    x = b.conv("x", 4, kernel=9, stride=2)
    z = b.conv("z", 6, kernel=3, stride=2)
    z = b.crop(z, b.shape(z)[1] - b.shape(x)[1], b.shape(x)[1])
    return b.end(b.conv(b.add("concat", Concat(), x, z), 8, kernel=3, activation=RELU), mean=True)


def bundle_of(folder: Path, hop: int, graph: Graph, streaming: bool = True) -> Bundle:
    quant = QuantParams(*ACT.scales, ACT.zero_point)
    widths = [graph.values[name].shape[2] for name in graph.inputs]
    columns = np.split(np.arange(FEATURES), np.cumsum(widths)[:-1])
    manifest = replace(
        tiny_manifest(WINDOW, hop, DecisionSpec("ema", 0.5, 2)),
        inputs=tuple(
            ModelInput(name, tuple(each.tolist()), quant=quant)
            for name, each in zip(graph.inputs, columns, strict=True)
        ),
        heads=(Head("activity", "multiclass", LABELS, quant),),
    )
    files = write_firmware(manifest, graph, "made by a test", streaming=streaming).files
    return write_bundle(folder / "made.edgehar", manifest, {f"firmware/{name}": data for name, data in files.items()})


def samples_with_holes(count: int) -> np.ndarray:
    samples = synthetic_recording(count, seed=2).samples.copy()
    rng = np.random.default_rng(2)
    for value in (np.nan, np.inf, -np.inf, 3.4e38, 1e-40, -0.0):
        samples[rng.integers(0, count, 9), rng.integers(0, 6, 9)] = value
    samples[:7] = np.nan  # from the first one on
    return samples


class WholeWindows:
    """The numpy reference as an engine."""

    name, version = "reference", "0"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def infer(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(output[0] for output in run(self._graph, [array[None] for array in inputs]))

    def reset(self) -> None:
        pass

    def memory_bytes(self) -> dict[str, int]:
        return {}


@pytest.mark.parametrize("hop", GEOMETRIES)
def test_streaming_is_the_device_on_whole_windows(tmp_path: Path, hop: int) -> None:
    graph = network()
    bundle = bundle_of(tmp_path, hop, graph)
    pipeline = CPipeline(firmware_files(bundle), compilers()["cc"], (*FLAGS, *STRICT))
    twins = Twins(bundle, WholeWindows(graph), pipeline)
    for count in (700, 301, 46, 3, 400):  # each from a reset; the fourth ends before there is a window
        twins.push(samples_with_holes(count))
        twins.finish()
    assert twins.differences == []
    assert twins.decisions > 15
    assert (pipeline.sizes["inputs"] < WINDOW * FEATURES) == (hop < 44)


def test_several_inputs_stream_together(tmp_path: Path) -> None:
    graph = two_inputs()
    bundle = bundle_of(tmp_path, 6, graph)
    pipeline = CPipeline(firmware_files(bundle), compilers()["cc"], (*FLAGS, *STRICT))
    twins = Twins(bundle, WholeWindows(graph), pipeline)
    for count in (500, 200):
        twins.push(samples_with_holes(count))
        twins.finish()
    assert (twins.differences, twins.decisions) == ([], 76 + 26)
    assert pipeline.sizes["inputs"] < WINDOW * FEATURES / 2
    for engine in ("c_native", "cortex_m"):
        windows = [np.random.default_rng(0).integers(-128, 128, (WINDOW, n)).astype(np.int8) for n in (3, 6)]
        (found,) = open_engine(engine, bundle).infer(*windows)
        assert np.array_equal(found, run(graph, [w[None] for w in windows])[0][0])


def test_reset_forgets_the_columns(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, 4, network())
    context = CPipeline(firmware_files(bundle), compilers()["cc"]).context(bundle.manifest.heads)
    samples = samples_with_holes(400)
    first = context.replay(samples).decisions.tobytes()
    used = context.memory.copy()
    context.reset()
    assert not np.array_equal(used, context.memory)
    assert np.array_equal(
        context.memory, CPipeline(firmware_files(bundle), compilers()["cc"]).context(bundle.manifest.heads).memory
    )
    assert context.replay(samples).decisions.tobytes() == first


def test_the_same_decisions_on_an_emulated_core_for_fewer_instructions(tmp_path: Path) -> None:
    samples = samples_with_holes(WINDOW + 12 * 5)
    found = []
    for streaming in (False, True):
        bundle = bundle_of(tmp_path, 12, network(), streaming)
        firmware = EmulatedFirmware(firmware_files(bundle), bundle.manifest.heads, CORES["cortex_m4f"])
        decisions = firmware.replay(samples).decisions
        cost = {stage.name: stage.instructions for stage in firmware.profile().stages}
        found.append(
            ([decisions[name].tobytes() for name in ("start", "t_ms")], decisions["head_0"]["logits"].tobytes(), cost)
        )
    assert found[0][:2] == found[1][:2]
    assert found[1][2]["network"] < 0.6 * found[0][2]["network"]


@pytest.mark.parametrize("engine", ["c_native", "cortex_m", "wasm"])
def test_engines_give_a_whole_windows_outputs(tmp_path: Path, engine: str) -> None:
    """Whatever window they are asked for: nothing is left of the one before."""
    graph = network()
    opened = open_engine(engine, bundle_of(tmp_path, 12, graph))
    windows = np.random.default_rng(0).integers(-128, 128, (5, WINDOW, FEATURES)).astype(np.int8)
    expected = run(graph, windows)[0]
    assert all(np.array_equal(opened.infer(w)[0], e) for w, e in zip(windows, expected, strict=True))


def refused(build: Builder, x: str, hop: int = 4) -> str:
    with pytest.raises((UnsupportedOpError, UsageError)) as caught:
        stream(build.end(x, mean=True), WINDOW, hop)
    return str(caught.value)


def test_what_does_not_stream_is_named_with_the_reason() -> None:
    b = Builder(WINDOW, 4, 0)
    padded = b.conv("x", 4, kernel=3, padding=(2, 0))
    assert "layer 'n_v0' (conv1d) pads its input (2 before, 0 after)" in refused(b, padded)
    b = Builder(WINDOW, 4, 0)
    b.values["table"] = replace(b.values["x"], name="table", data=np.zeros((1, WINDOW, 4), np.int8))
    placed = b.conv(b.add("add_constant", AddConstant(), "x", "table"), 4, kernel=3)
    assert "layer 'n_v0' (add_constant) adds another number to every column of the window" in refused(b, placed)
    with pytest.raises(UnsupportedOpError, match="its input 'x' is no window of 45 samples"):
        stream(Builder(44, 4, 0).end("x", mean=True), WINDOW, 4)


def test_a_hop_that_does_not_stream_is_refused_with_the_nearest() -> None:
    for hop, nearest in ((10, "8 or 12"), (3, "4"), (5, "4 or 8"), (7, "8 or 4")):
        with pytest.raises(UsageError, match=f"a column every 4 samples.* the nearest: {nearest}$"):
            stream(network(), WINDOW, hop)


def test_what_streams_before_a_layer_that_does_not() -> None:
    b = Builder(WINDOW, 4, 0)
    x = b.conv(b.conv("x", 6, kernel=3), 6, kernel=3, padding=(1, 1))
    hops = stream(b.end(x, mean=False), WINDOW, 5)
    assert hops.rest.startswith("layer 'n_v1' (conv1d) pads its input")
    assert hops.kept == {"v0": 38}
    assert hops.window_macs - hops.macs == 38 * 6 * 3 * 4
