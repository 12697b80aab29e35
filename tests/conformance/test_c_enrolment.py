"""Embedding and enrolled labels in C: taught on the device or written as tables, the same bits as the simulator's.

The network is zoo:siamese's. What is enrolled are its golden recording's samples with axes turned, which no reference
window is like.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from c_cases import STRICT, compilers
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.emulator import CORES
from device_sim.emulator.firmware import EmulatedFirmware
from device_sim.engines import open_engine
from device_sim.enroll import enroll
from device_sim.firmware import Twins
from device_sim.sources import golden_arrays
from edgehar import cli
from edgehar.bundle import Bundle, write_bundle
from edgehar.c_compiler import FLAGS
from edgehar.c_pipeline import FOLDER, CPipeline, firmware_files
from edgehar.cli.networks import integers_of
from edgehar.decision_spec import DecisionSpec, Grammar
from edgehar.errors import EngineError, ExportError
from edgehar.heads.prototypes import MARGIN, UNIT, direction
from edgehar.manifest import Prototype
from edgehar.recording import Recording
from edgehar.references import find_references
from firmware_export.targets.c import Optimize, write_firmware

ARGUMENT, ENROLMENT = 1, 4  # of har_status
TAUGHT = [(0, "rowing"), (1, "hanging"), (3, "rowing")]  # how the samples are turned, and what that is called
OWN = len(Bundle.open("zoo:siamese").manifest.heads[0].labels)
GRAMMAR = Grammar(tuple(tuple(0.9 if i == j else 0.1 / (OWN - 1) for j in range(OWN)) for i in range(OWN)))
SPECS = [
    DecisionSpec(),
    DecisionSpec("ema", 0.7, 2, hysteresis=0.1),
    DecisionSpec("majority", 3, 1),
    DecisionSpec("hmm", grammar=replace(GRAMMAR, prior=(0.2,) * OWN), lag=2, temperature=0.7, uncertain_below=0.6),
    DecisionSpec("hmm", grammar=GRAMMAR, hysteresis=0.1),
]

LABELS = {"rowing": OWN, "hanging": OWN + 1}


@functools.cache
def golden() -> np.ndarray:
    return golden_arrays(Bundle.open("zoo:siamese"))["stream_samples"]


def turned(kind: int) -> np.ndarray:
    """The golden samples as a device worn otherwise would measure them."""
    x = golden()
    return np.ascontiguousarray([x[:, [1, 2, 0, 4, 5, 3]], -x, x[::-1], 3 * x, 0 * x][kind], np.float32)


def firmware_of(bundle: Bundle, manifest=None) -> dict[str, bytes]:
    made = manifest or bundle.manifest
    return dict(write_firmware(made, integers_of(bundle), "a test", Optimize.SPEED, find_references(bundle)).files)


def compiled(files: dict[str, bytes]) -> CPipeline:
    return CPipeline(files, compilers()["cc"], (*FLAGS, *STRICT))


@pytest.fixture(scope="module", params=SPECS, ids=lambda spec: spec.smoothing)
def bundle(request, tmp_path_factory) -> Bundle:
    """zoo:siamese with each smoothing."""
    shipped = Bundle.open("zoo:siamese")
    manifest = replace(shipped.manifest, decision=request.param)
    files = {name: shipped.read(name) for name in shipped.manifest.files if not name.startswith(FOLDER)}
    files |= {FOLDER + name: data for name, data in firmware_of(shipped, manifest).items()}
    return write_bundle(tmp_path_factory.mktemp("enrolment") / "own.edgehar", manifest, files)


@pytest.fixture(scope="module")
def pipeline(bundle) -> CPipeline:
    return compiled(firmware_files(bundle))


@pytest.fixture(scope="module")
def taught(bundle, tmp_path_factory) -> Bundle:
    """With two labels, one of them from two recordings, enrolled by the simulator; firmware with these in tables."""
    out = tmp_path_factory.mktemp("taught")
    for index, (kind, label) in enumerate(TAUGHT):
        recording = Recording("made", "somebody", 50.0, bundle.manifest.channels, turned(kind), None, ())
        bundle = enroll(
            bundle,
            [recording],
            label,
            out / f"{index}.edgehar",
            engine="tflm",
            firmware=functools.partial(firmware_of, bundle),
        ).bundle
    return bundle


def streams() -> np.ndarray:
    return np.concatenate([golden(), *(turned(kind) for kind in range(5)), golden() + turned(0)])


def differences(bundle: Bundle, pipeline: CPipeline, prototypes: Sequence[np.ndarray] = ()) -> list[str]:
    """What device and firmware say differently, the firmware with these prototypes."""
    twins = Twins(bundle, open_engine("tflm", bundle), pipeline)
    for prototype in prototypes:
        twins.context.add_prototype(prototype)
    twins.push(streams())
    assert twins.decisions > 100
    return twins.differences


def test_nothing_enrolled(bundle, pipeline):
    assert differences(bundle, pipeline) == []


def test_enrolled_in_tables(taught):
    pipeline = compiled(firmware_files(taught))
    assert differences(taught, pipeline) == []
    found = pipeline.context(taught.manifest.heads).replay(streams()).decisions["head_0"]
    for label in (OWN, OWN + 1):
        assert (found["label"] == label).sum() > 10
    assert (found["label"] < OWN).sum() > 10
    assert b'"rowing", "hanging", "enrolled 1"' in firmware_files(taught)["har.c"]


def test_taught_on_the_device(bundle, pipeline, taught):
    """The same windows give the same prototypes, and these the same decisions, as in the simulator."""
    prototypes = []
    for expected, (kind, label) in zip(taught.manifest.enrolled, TAUGHT, strict=True):
        found = pipeline.context(bundle.manifest.heads).enroll(turned(kind), LABELS[label], round(MARGIN * UNIT))
        assert tuple(found["vector"][0].tolist()) == expected.vector
        assert int(found["threshold"][0]) == expected.threshold
        prototypes.append(found)
    assert differences(taught, pipeline, prototypes) == []


def test_taught_beside_tables(taught, tmp_path):
    """A firmware that knows labels from its tables learns one more."""
    recording = Recording("made", "somebody", 50.0, taught.manifest.channels, turned(2), None, ())
    more = enroll(taught, [recording], "backwards", tmp_path / "more.edgehar", engine="tflm").bundle
    assert not any(name.startswith(FOLDER) for name in more.manifest.files)
    pipeline = compiled(firmware_files(taught))
    found = pipeline.context(taught.manifest.heads).enroll(turned(2), OWN + 2, round(MARGIN * UNIT))
    assert tuple(found["vector"][0].tolist()) == more.manifest.enrolled[-1].vector
    assert differences(more, pipeline, [found]) == []


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(-128, 127), min_size=5, max_size=5), min_size=1, max_size=9))
def test_directions_are_the_rounded_ones(embeddings):
    found = direction(np.array(embeddings, np.int8).sum(axis=0, dtype=np.int64))
    mean = np.array(embeddings, np.float64).mean(axis=0)
    length = np.linalg.norm(mean)
    if length == 0:
        assert found is None
    else:
        assert found is not None
        assert np.abs(found - mean * 127 / length).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("bundle", SPECS[:1], ids=["none"], indirect=True)
def test_refusals_by_status(pipeline, bundle):
    context = pipeline.context(bundle.manifest.heads)
    samples = golden()
    with pytest.raises(EngineError, match=f"status {ENROLMENT}"):  # two windows
        context.enroll(samples[: bundle.manifest.window + bundle.manifest.hop], OWN, 0)
    for label, margin in ((OWN - 1, 0), (OWN + 4, 0), (OWN, -1), (OWN, 32769)):
        with pytest.raises(EngineError, match=f"status {ARGUMENT}"):
            context.enroll(samples, label, margin)
    found = context.enroll(samples, OWN + 3, 32768)
    for _ in range(4):
        context.add_prototype(found)
    with pytest.raises(EngineError, match=f"status {ENROLMENT}"):
        context.add_prototype(found)
    found["threshold"] = -1
    with pytest.raises(EngineError, match=f"status {ARGUMENT}"):
        context.add_prototype(found)
    context.reset()
    found["threshold"] = 0
    context.add_prototype(found)  # a reset forgets


def test_a_network_without_embedding_cannot_enrol():
    shipped = Bundle.open("zoo:ds_cnn_3k")
    context = compiled(firmware_files(shipped)).context(shipped.manifest.heads)
    with pytest.raises(EngineError, match="cannot enrol"):
        context.enroll(golden(), 6, 0)


def test_an_embedding_without_references_is_an_output(tmp_path):
    shipped = Bundle.open("zoo:siamese")
    files = dict(write_firmware(shipped.manifest, integers_of(shipped)).files)
    assert b"har_enroll" not in files["har.h"]
    bundle = write_bundle(
        tmp_path / "plain.edgehar",
        shipped.manifest,
        {"model_i8.tflite": shipped.read("model_i8.tflite"), **{FOLDER + n: d for n, d in files.items()}},
    )
    assert differences(bundle, compiled(files)) == []
    enrolled = replace(shipped.manifest, enrolled=(Prototype("rowing", (1,) * 16, 0, 3),))
    with pytest.raises(ExportError, match="no references"):
        write_firmware(enrolled, integers_of(shipped))


@pytest.mark.parametrize("bundle", SPECS[3:4], ids=["hmm"], indirect=True)
def test_the_emulated_core_says_the_same(taught):
    files, heads = firmware_files(taught), taught.manifest.heads
    samples = np.concatenate([golden()[:400], turned(1)[:400]])
    here = compiled(files).context(heads).replay(samples).decisions
    there = EmulatedFirmware(files, heads, CORES["cortex_m4f"]).replay(samples).decisions
    assert len(here) > 5
    for name in ("probability", "label", "logits"):
        assert np.array_equal(there["head_0"][name], here["head_0"][name])
    assert np.array_equal(there["embedding"], here["embedding"])


@pytest.mark.parametrize("bundle", SPECS[:1], ids=["none"], indirect=True)
def test_enroll_writes_firmware_again(bundle, tmp_path):
    x = turned(1)
    path, out = tmp_path / "row.csv", tmp_path / "new.edgehar"
    names = ",".join(channel.name for channel in bundle.manifest.channels)
    np.savetxt(path, x, delimiter=",", header=names, comments="", fmt="%.9g")
    words = ["enroll", str(bundle.path), "--recordings", str(path), "--label", "rowing", "--out", str(out)]
    assert cli.main(words) == 0
    assert b"HAR_LABEL_ACTIVITY_ROWING 6" in Bundle.open(out).read("firmware/har.h")
