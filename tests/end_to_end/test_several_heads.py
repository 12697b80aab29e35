"""Four heads on one small network, from config file to report: multiclass, binary, multilabel with masks."""

import json
import subprocess
import sys

import numpy as np
import pytest

from edgehar import cli
from edgehar.bundle import Bundle
from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.heads import UNKNOWN

CONFIG = """
epochs = 3
validation_subjects = 1
hop = 128
model_options = {stem_channels = 8, blocks = [[16, 9, 2]]}

[[heads]]
name = "activity"
kind = "multiclass"
labels = ["walking", "upstairs", "downstairs", "sitting", "standing", "laying"]

[[heads]]
name = "motion"
kind = "binary"
labels = ["moving"]
weight = 0.5
groups = {moving = ["walking", "upstairs", "downstairs"], not_moving = ["sitting", "standing", "laying"]}

[[heads]]
name = "body"
kind = "multilabel"
labels = ["upright", "on stairs"]
[heads.groups]
upright = ["walking", "standing"]
not_upright = ["laying"]
"on stairs" = ["upstairs", "downstairs"]

[[heads]]
name = "gait"
kind = "multiclass"
labels = ["walk", "rest"]
purity = 0.75
groups = {walk = ["walking", "upstairs", "downstairs"], rest = ["sitting", "standing", "laying"]}
"""
ENGINES = ("litert_ref", "tflm", "litert", "onnxruntime")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """``edgehar run`` with the config above."""
    folder = tmp_path_factory.mktemp("heads")
    (folder / "heads.toml").write_text(CONFIG)
    assert cli.main(["run", "--config", str(folder / "heads.toml"), "--out", str(folder / "demo")]) == 0
    return folder / "demo"


@pytest.fixture(scope="module")
def bundle(demo):
    return Bundle.open(demo / "model.edgehar")


def test_every_head_learns(demo):
    heads = json.loads((demo / "run.json").read_text())["metrics"]["test"]["heads"]
    assert [h["name"] for h in heads] == ["activity", "motion", "body", "gait"]
    assert heads[0]["accuracy"] > 0.7
    assert heads[1]["macro_f1"] > 0.95
    assert heads[2]["accuracy"] > 0.8
    assert heads[3]["macro_f1"] > 0.95
    upright, stairs = heads[2]["labels"]
    assert upright["windows"] < stairs["windows"] <= heads[2]["windows"]  # sitting is unknown to "upright"


def test_the_manifest_says_what_each_output_means(bundle):
    heads = bundle.manifest.heads
    assert [(h.name, h.kind, len(h.labels)) for h in heads] == [
        ("activity", "multiclass", 6), ("motion", "binary", 1), ("body", "multilabel", 2), ("gait", "multiclass", 2),
    ]  # fmt: skip
    assert heads[1].groups["not_moving"] == ("sitting", "standing", "laying")
    assert heads[3].purity == 0.75
    assert len({h.quant for h in heads}) == 4  # a scale of its own each
    card = bundle.read("MODEL_CARD.md").decode()
    assert all(f"| {h.name} |" in card for h in heads)


def test_the_files_name_their_outputs_by_head(bundle):
    import onnx
    from ai_edge_litert import schema_py_generated as schema

    names = [h.name for h in bundle.manifest.heads]
    for file in ("model_f32.onnx", "model_i8.onnx"):
        assert [o.name for o in onnx.load_model_from_string(bundle.read(file)).graph.output] == names
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bundle.read("model_i8.tflite")))
    graph = model.subgraphs[0]
    assert [graph.tensors[i].name.decode() for i in graph.outputs] == names


def test_simulator_exporter_and_training_tell_the_same_story(demo, bundle):
    # without the fitted decision stage: exporter and training know single windows
    words = ["simulate", str(bundle.path), "--decision", "none", "--json", str(demo / "windows.json")]
    assert cli.main(words) == 0
    summary = json.loads((demo / "windows.json").read_text())
    evidence = bundle.manifest.provenance["verification"]["heads"]
    trained = json.loads((demo / "run.json").read_text())["metrics"]["test"]["heads"]
    for streamed, exported, full in zip(summary["heads"], evidence, trained, strict=True):
        assert streamed["name"] == exported["name"] == full["name"]
        assert streamed["windows"] == exported["windows"] == full["windows"]
        assert streamed["baseline_accuracy"] == pytest.approx(full["accuracy"], abs=1e-9)
        assert streamed["baseline_macro_f1"] == pytest.approx(full["macro_f1"], abs=1e-9)
        assert abs(streamed["accuracy"] - exported["accuracy"]) < 0.005
        assert streamed["agreement"] > 0.98
    first = summary["heads"][0]
    assert (first["windows"], first["accuracy"]) == (summary["windows"], summary["accuracy"])
    assert first["macro_f1"] == pytest.approx(summary["macro_f1"])


def test_exact_engines_give_the_same_bits_on_every_head(bundle):
    from device_sim.simulate import simulate

    recordings = select(load_dataset("hapt"), ["2"])
    traces = {engine: simulate(bundle, recordings, engine).traces for engine in ENGINES}
    reference = traces["litert_ref"]
    for i, head in enumerate(bundle.manifest.heads[1:]):
        for engine, bound in {"tflm": 0, "litert": 3, "onnxruntime": 3}.items():
            for a, b in zip(reference, traces[engine], strict=True):
                assert np.abs(a.others[i].outputs.astype(int) - b.others[i].outputs).max() <= bound
        one = reference[0].others[i]
        assert one.truth.shape == one.answers.shape == (len(one.outputs), head.task.columns)
        known = one.truth != UNKNOWN
        assert 0 < known.sum() < known.size
        if head.kind != "multiclass":
            assert np.array_equal(one.answers == 1, one.probabilities >= 0.5)


def test_answers_do_not_depend_on_how_samples_come(bundle):
    from device_sim.device import Device
    from device_sim.engines import open_engine

    samples = select(load_dataset("hapt"), ["2"])[0].samples[:3000]
    device = Device(bundle, open_engine("litert_ref", bundle))
    at_once = device.run(samples)
    device.reset()
    one_by_one = [d for d in map(device.push, samples) if d is not None]
    assert len(at_once) == len(one_by_one) > 10
    for a, b in zip(at_once, one_by_one, strict=True):
        for x, y in zip(a.others, b.others, strict=True):
            assert np.array_equal(x.outputs, y.outputs)
            assert np.array_equal(x.probabilities, y.probabilities)
            assert np.array_equal(x.answers, y.answers)


def test_the_bundle_scores_every_head_on_its_own(bundle, tmp_path):
    """Golden stream, numpy and one engine: all heads' bits, truth and baseline travel with the bundle."""
    words = [sys.executable, "-m", "device_sim", str(bundle.path), "--engine", "litert_ref"]
    done = subprocess.run([*words, "--json", str(tmp_path / "s.json")], capture_output=True, text=True, check=True)
    assert "golden      ok" in done.stdout
    assert "head        motion (binary)  accuracy" in done.stdout
    heads = json.loads((tmp_path / "s.json").read_text())["heads"]
    assert all(h["windows"] > 10 and h["agreement"] > 0.9 for h in heads)


def test_changed_bits_of_a_further_head_are_found(bundle, tmp_path, capsys):
    from device_fixtures import altered

    from device_sim import __main__ as device_main
    from edgehar.arrays import dump_npz

    arrays = bundle.arrays("golden.npz")
    arrays["stream_outputs_2"] = arrays["stream_outputs_2"] ^ 1
    wrong = altered(bundle, tmp_path, {"golden.npz": dump_npz(**arrays)})
    assert device_main.main([str(wrong.path), "--engine", "litert_ref"]) == 1
    assert "golden      FAILED" in capsys.readouterr().out
    del arrays["stream_outputs_2"]
    wrong = altered(bundle, tmp_path, {"golden.npz": dump_npz(**arrays)})
    assert device_main.main([str(wrong.path), "--engine", "litert_ref"]) == 1
    assert "no array stream_outputs_2" in capsys.readouterr().err


def test_slim_bundle_still_knows_every_baseline(demo, tmp_path):
    out = tmp_path / "slim.edgehar"
    assert cli.main(["export", str(demo / "run"), "--slim", "--out", str(out)]) == 0
    assert not [name for name in Bundle.open(out).arrays("baseline.npz") if "logits" in name]
    assert cli.main(["simulate", str(out), "--subjects", "2", "--json", str(tmp_path / "s.json")]) == 0
    assert all(h["agreement"] > 0.97 for h in json.loads((tmp_path / "s.json").read_text())["heads"])


def test_own_csv_may_carry_any_label_a_head_knows(bundle, tmp_path, capsys):
    recording = load_dataset("hapt")[0].cut(3000, 5000)
    names = ",".join(c.name for c in recording.channels)
    labels = [recording.label_names[i] if 0 <= i < 6 else "" for i in recording.labels]
    rows = [",".join(f"{v:.6f}" for v in s) + f",{n}" for s, n in zip(recording.samples, labels, strict=True)]
    (tmp_path / "mine.csv").write_text("\n".join([f"{names},label", *rows]))
    command = ["simulate", str(bundle.path), "--recordings", str(tmp_path / "mine.csv")]
    assert cli.main([*command, "--json", str(tmp_path / "s.json"), "--report", str(tmp_path / "r.html")]) == 0
    out = capsys.readouterr().out
    assert "Heads" in out
    assert "motion" in out
    assert all(h["windows"] for h in json.loads((tmp_path / "s.json").read_text())["heads"])
    assert 'id="heads"' in (tmp_path / "r.html").read_text()


def test_the_command_in_the_card_makes_the_same_config(bundle):
    import shlex

    from edgehar.plain_data import from_mapping
    from edgehar.training.config import TrainConfig, load_config

    words = shlex.split(bundle.manifest.provenance["command"])
    overrides = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    expected = from_mapping(TrainConfig, bundle.manifest.provenance["config"], "manifest")
    assert load_config(None, overrides) == expected
