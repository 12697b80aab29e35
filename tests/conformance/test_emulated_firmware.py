"""The whole firmware on emulated cores: what the same sources compute on this computer, sample by sample, all bits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from device_fixtures import make_tiny_bundle, synthetic_recording
from jsonschema import validate

import device_sim
from device_sim.emulator import CORES
from device_sim.emulator.firmware import STAGES, EmulatedFirmware
from device_sim.emulator.machine import OTHER
from device_sim.emulator.sources import read_sources
from device_sim.simulate import simulate
from edgehar.bundle import Bundle
from edgehar.c_compiler import find_compiler
from edgehar.c_pipeline import CPipeline, firmware_files
from edgehar.errors import EngineError

SCHEMA = Path(device_sim.__file__).parent / "schemas" / "summary.schema.json"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("firmware"))


def rough_samples(count: int) -> np.ndarray:
    """A recording with values that are no numbers, huge ones and zeros."""
    samples = synthetic_recording(count, seed=4).samples.copy()
    rng = np.random.default_rng(2)
    for value in (np.nan, np.inf, -np.inf, 1e30, 1e-40, 0.0):
        samples[rng.integers(0, count, 9), rng.integers(0, 6, 9)] = value
    return samples


def different(found: np.ndarray, expected: np.ndarray) -> list[str]:
    """Members of structs that are not equal; what lies between members does not count."""
    if found.dtype.names is None:
        return [] if np.array_equal(found, expected) else ["values"]
    return [f"{n}.{d}" for n in found.dtype.names for d in different(found[n], expected[n])]


@pytest.mark.parametrize("name", ["cortex_m0plus", "cortex_m4f", "rv32imc"])
def test_same_bits_as_on_this_computer(name: str, bundle: Bundle) -> None:
    files, heads = firmware_files(bundle), bundle.manifest.heads
    compiler = find_compiler()
    assert compiler is not None
    here = CPipeline(files, compiler).context(heads)
    there = EmulatedFirmware(files, heads, CORES[name])
    samples = rough_samples(300)
    expected, found = here.replay(samples, windows=True), there.replay(samples, windows=True)
    assert len(expected.decisions) > 5
    assert different(found.decisions, expected.decisions) == []
    assert different(found.events, expected.events) == []
    assert np.array_equal(found.windows, expected.windows)
    assert (there.activity, there.invalid_samples) == (here.activity, here.invalid_samples)
    assert there.invalid_samples > 10


def test_same_bits_from_the_users_own_compiler(bundle: Bundle) -> None:
    files, heads = firmware_files(bundle), bundle.manifest.heads
    samples = rough_samples(200)
    by_zig, by_gcc = (
        EmulatedFirmware(files, heads, CORES["cortex_m4f"], compiler).replay(samples, windows=True)
        for compiler in ("zig", "gcc")
    )
    assert different(by_gcc.decisions, by_zig.decisions) == []
    assert np.array_equal(by_gcc.windows, by_zig.windows)


def test_every_push_is_counted_for_its_stages(bundle: Bundle) -> None:
    firmware = EmulatedFirmware(firmware_files(bundle), bundle.manifest.heads, CORES["cortex_m4f"])
    firmware.replay(rough_samples(200))
    assert firmware.stages == (OTHER, *STAGES)
    network = firmware.stages.index("network")
    decided = [push.decided for push in firmware.pushes]
    assert len(decided) == 200
    assert [push.cycles[network] > 0 for push in firmware.pushes] == decided
    assert all(push.cycles[firmware.stages.index("front_end")] > 0 for push in firmware.pushes)
    total = sum(int(push.instructions.sum()) for push in firmware.pushes)
    assert total == int(firmware.meter.instructions().sum())
    profile = firmware.profile()
    assert profile.decisions == sum(decided)
    assert 0 < profile.push_cycles < profile.deciding_push_cycles
    firmware.reset()
    with pytest.raises(ValueError, match="no decision"):
        firmware.profile()


def test_header_that_says_nothing_of_its_network(bundle: Bundle) -> None:
    files = firmware_files(bundle)
    for damaged in (b"", files["har_model.h"].replace(b"_LAYERS", b"_LAYER"), b'#define HAR_MODEL_FACTS "[[1"'):
        with pytest.raises(EngineError, match=r"har_model.h does not describe its network \(.*export the model again"):
            read_sources({**files, "har_model.h": damaged})


@pytest.mark.parametrize("realtime", [False, True])
def test_simulation_on_the_emulated_core(bundle: Bundle, realtime: bool) -> None:
    recording = synthetic_recording(400 if not realtime else 60, seed=3)
    modelled = simulate(bundle, [recording], "cortex_m", realtime=realtime)
    reference = simulate(bundle, [recording], "tflm")
    assert np.array_equal(modelled.traces[0].outputs, reference.traces[0].outputs)
    assert modelled.traces[0].events == reference.traces[0].events
    summary = modelled.summary
    validate(summary, json.loads(SCHEMA.read_text()))
    assert (summary["latency_kind"], reference.summary["latency_kind"]) == ("modelled", "measured")
    latency, windows = summary["latency_us"], len(modelled.traces[0].outputs)
    assert {stage: latency[stage]["count"] for stage in latency} == {
        "sample": windows * (bundle.manifest.hop - 1),
        **dict.fromkeys(("front_end", "engine", "decision", "total"), windows),
    }
    assert latency["engine"]["p50"] < latency["total"]["p50"] < latency["engine"]["p50"] + latency["front_end"]["p50"]
    again = simulate(bundle, [recording], "cortex_m").summary
    assert again["latency_us"] == latency
    assert summary["memory"]["firmware_flash_bytes"] > summary["memory"]["firmware_ram_bytes"] > 0
