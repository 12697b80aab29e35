"""The shipped bundles carry their C sources, which give their golden outputs from raw samples."""

from __future__ import annotations

import numpy as np
import pytest

from device_sim.emulator.sources import read_sources
from device_sim.firmware import firmware_beside_device
from device_sim.sources import golden_arrays, golden_recording, stream_of
from edgehar.bundle import Bundle, zoo_names
from edgehar.c_compiler import find_compiler
from edgehar.c_pipeline import FOLDER, CPipeline, firmware_files
from edgehar.decision_spec import DecisionSpec


def has_firmware(name: str) -> bool:
    return any(file.startswith(FOLDER) for file in Bundle.open(f"zoo:{name}").manifest.files)


IN_C = [name for name in zoo_names() if has_firmware(name)]


def test_the_classifiers_have_it() -> None:
    assert {"ds_cnn", "ds_cnn_3k", "ds_cnn_30k", "ds_cnn_multitask", "bilstm"} <= set(IN_C)


@pytest.mark.parametrize("name", IN_C)
def test_firmware_of_the_zoo(name: str) -> None:
    bundle = Bundle.open(f"zoo:{name}")
    files, arrays = firmware_files(bundle), golden_arrays(bundle)
    compiler = find_compiler()
    assert compiler is not None
    decisions = CPipeline(files, compiler).context(bundle.manifest.heads).replay(arrays["stream_samples"]).decisions
    for index in range(len(bundle.manifest.heads)):
        assert np.array_equal(decisions[f"head_{index}"]["logits"], stream_of(arrays, "outputs", index))
    sources = read_sources(files)
    assert sum(layer.macs for layer in sources.layers) == bundle.manifest.model["macs"]
    evidence = bundle.manifest.provenance["verification"]["engines"]
    (report,) = [row for row in evidence if row["engine"] == "c_native"]
    assert (report["max_lsb"], report["exact"]) == (0, 1.0)
    assert report["windows"] > 1000


@pytest.mark.parametrize("name", IN_C)
def test_it_decides_as_the_simulated_device(name: str) -> None:
    """By a filter whose grammar and temperature are of the people that the network and its settings were fitted on.

    Where labels can be enrolled each window stays by itself, so that an enrolment changes nothing about others.
    """
    bundle = Bundle.open(f"zoo:{name}")
    twins = firmware_beside_device(bundle, [golden_recording(bundle)])
    assert (twins.decisions, twins.differences) == (32, [])
    spec, provenance = bundle.manifest.decision, bundle.manifest.provenance
    if bundle.manifest.embedding is not None:
        assert spec == DecisionSpec()
        return
    assert spec.smoothing == "hmm" and spec.grammar is not None and spec.rejections == ()
    assert provenance["decision"]["calibrated_on"] == provenance["data"]["validation_subjects"]
    assert set(provenance["decision"]["grammar_of"]) == set(provenance["data"]["train_subjects"])
