"""A decision stage fitted to a bundle that ships: compared, written, the same in C, taken and changed by simulate."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from device_sim.firmware import firmware_beside_device
from device_sim.sources import golden_recording
from edgehar import cli
from edgehar.bundle import Bundle, write_bundle


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decide")
    words = ["--decision", "hmm:lag=1,debounce=2,uncertain=1%,unknown=2%"]
    words += ["--out", str(folder / "new.edgehar"), "--json", str(folder / "figures.json")]
    assert cli.main(["decide", "zoo:ds_cnn_3k", *words]) == 0
    return Bundle.open(folder / "new.edgehar"), json.loads((folder / "figures.json").read_text())


def test_the_new_bundle_says_how_it_decides_and_on_whom_that_was_fitted(fitted):
    bundle, figures = fitted
    spec, shipped = bundle.manifest.decision, Bundle.open("zoo:ds_cnn_3k")
    assert (spec.smoothing, spec.lag, spec.min_decisions) == ("hmm", 1, 2)
    assert spec.grammar is not None and spec.familiar is not None and 0 < spec.uncertain_below < 1
    walking, sitting, laying = (bundle.manifest.heads[0].labels.index(n) for n in ("walking", "sitting", "laying"))
    to = spec.grammar.transitions
    assert to[laying][laying] > 0.9 and to[laying][walking] > to[walking][laying]  # nobody lay down while walking
    assert to[sitting][laying] > 10 * to[walking][laying]
    record = bundle.manifest.provenance["decision"]
    assert record["calibrated_on"] == ["15", "25"] and not set(record["grammar_of"]) & {"15", "25"}
    assert record["nll"] < record["nll_before"]
    (row,) = figures["stages"]
    assert row["accuracy"] < row["covered_accuracy"] and 0.9 < row["coverage"] < 1
    card = bundle.read("MODEL_CARD.md").decode()
    assert "forward filter of a hidden Markov model" in card and "about the window 1 decisions ago" in card
    kept = ("model_i8.tflite", "golden.npz", "baseline.npz")
    assert all(bundle.read(name) == shipped.read(name) for name in kept)


def test_its_firmware_decides_the_same(fitted):
    twins = firmware_beside_device(fitted[0], [golden_recording(fitted[0])])
    assert (twins.decisions, twins.differences) == (32, [])


def test_simulate_takes_another_stage(fitted, tmp_path, capsys):
    path, summary = str(fitted[0].path), tmp_path / "summary.json"
    common = ["--subjects", "2", "--json", str(summary)]
    found = {}
    for text in ("none", "ema:0.5", "hmm", "hmm:lag=1,unknown"):
        assert cli.main(["simulate", path, *common, "--decision", text]) == 0
        found[text] = json.loads(summary.read_text())
    assert [s["decision"]["delay_s"] for s in found.values()] == [0, 0, 0, 1.28]
    rejected = [set(summary["decision"]["rejected"]) for summary in found.values()]
    assert rejected == [set(), set(), set(), {"uncertain", "unknown"}]
    assert len({s["bundle_sha256"] for s in found.values()}) == 4  # no two that differ in their decisions are one
    assert found["hmm"]["events"]["count"] < found["none"]["events"]["count"]
    capsys.readouterr()
    assert cli.main(["simulate", path, "--decision", "hmm:uncertain=1%"]) == 2
    assert "a rate becomes a threshold by a fit" in capsys.readouterr().err


def test_refusals(tmp_path, capsys):
    assert cli.main(["decide", "zoo:ds_cnn_3k", "--out", str(tmp_path / "x")]) == 2
    shipped = Bundle.open("zoo:ds_cnn_3k")
    provenance = json.loads(json.dumps(shipped.manifest.provenance))
    provenance["data"]["validation_subjects"] = []
    files = {name: shipped.read(name) for name in shipped.manifest.files}
    alone = write_bundle(tmp_path / "alone.edgehar", replace(shipped.manifest, provenance=provenance), files)
    assert cli.main(["decide", str(alone.path)]) == 2
    said = capsys.readouterr().err
    assert "--out needs --decision" in said and "was trained without validation people" in said
