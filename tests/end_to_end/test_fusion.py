"""A network on acc, gyro and window features, from config file to simulated device, all from the command line."""

import json

import pytest

from edgehar import cli
from edgehar.bundle import Bundle

CONFIG = """
model = "MODEL"
epochs = 1
validation_subjects = 1
hop = 128
inputs = [
  {name = "acc", sensors = ["acc"]}, {name = "gyro", columns = ["slog_gyro_z", "slog_gyro_x"]},
  {name = "features", kind = "features", families = ["moments", "correlations"]},
]
[model_options]
parts = [
  {options = {stem_channels = 8, blocks = [[16, 9, 2]]}},
  {model = "cnn1d", options = {channels = 4}},
  {model = "mlp", options = {hidden = [16]}},
]
"""
FOREST = """
model = "forest"
hop = 128
validation_subjects = 1
inputs = [{name = "features", kind = "features", sensors = ["acc"], families = ["moments", "correlations"]}]
model_options = {trees = 8, depth = 4}
"""


def test_a_forest_is_grown_exported_and_streamed(tmp_path, capsys):
    (tmp_path / "a.toml").write_text(FOREST)
    run, bundle = tmp_path / "run", tmp_path / "made.edgehar"
    assert cli.main(["train", "--config", str(tmp_path / "a.toml"), "--out", str(run)]) == 0
    assert not (run / "checkpoints").exists()
    assert cli.main(["export", str(run), "--out", str(bundle)]) == 0
    evidence = Bundle.open(bundle).manifest.provenance["verification"]
    assert {e["engine"] for e in evidence["engines"] if e["max_lsb"] == 0} >= {"litert_reference", "tflm"}
    assert evidence["int8_accuracy"] > 0.6
    assert evidence["agreement_with_baseline"] > 0.99
    arguments = ["--engine", "tflm", "--subjects", "2", "--json", str(tmp_path / "summary.json")]
    assert cli.main(["simulate", str(bundle), *arguments]) == 0
    assert json.loads((tmp_path / "summary.json").read_text())["agreement"] > 0.99
    assert cli.main(["train", "--config", str(tmp_path / "a.toml"), "--out", str(run)]) == 2, "it is kept"
    assert "finished run" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["hybrid", "late"])
def test_trained_exported_and_streamed(model, tmp_path, capsys):
    (tmp_path / "a.toml").write_text(CONFIG.replace("MODEL", model))
    run, bundle = tmp_path / "run", tmp_path / "made.edgehar"
    assert cli.main(["train", "--config", str(tmp_path / "a.toml"), "--out", str(run)]) == 0
    assert cli.main(["export", str(run), "--out", str(bundle)]) == 0
    manifest = Bundle.open(bundle).manifest
    assert [each.name for each in manifest.inputs] == ["acc", "gyro", "features"]
    assert [len(each.columns) for each in manifest.inputs] == [6, 2, 9]
    assert manifest.inputs[2].features.mean, "standardized to the training people"
    evidence = manifest.provenance["verification"]
    assert {e["engine"] for e in evidence["engines"] if e["max_lsb"] == 0} >= {"litert_reference", "tflm"}
    assert evidence["int8_accuracy"] > 0.6
    arguments = ["--engine", "litert_ref", "--subjects", "2", "--json", str(tmp_path / "summary.json")]
    assert cli.main(["simulate", str(bundle), *arguments]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["agreement"] > 0.95, "the device decides as the trained network did"
    capsys.readouterr()
