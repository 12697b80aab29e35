"""Several seeds and folds: planned alike for every config, kept across an interruption, added up by person."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from edgehar import cli
from edgehar.datasets import DATASETS, load_dataset
from edgehar.errors import ConfigError, UsageError
from edgehar.training.config import load_config
from edgehar.training.crossval import cross_validate, plan_folds, plan_official

SMALL = ["epochs=1", "validation_subjects=0", "model_options={stem_channels = 8, blocks = [[16, 9, 2]]}", "hop=256"]


@pytest.fixture(scope="module")
def recordings():
    return load_dataset("hapt")


def test_everybody_is_held_out_once_a_seed(recordings):
    planned = plan_folds(load_config(None, []), recordings, (0, 1), 5, with_test_people=True)
    assert [p.name for p in planned] == [f"seed{s}-fold{i}" for s in (0, 1) for i in range(5)]
    for seed in (0, 1):
        held_out = [person for p in planned if p.config.seed == seed for person in p.split.test_subjects]
        assert sorted(held_out) == sorted({r.subject for r in recordings})
    assert planned[0].split.test_subjects == planned[5].split.test_subjects
    assert planned[0].split.validation_subjects != planned[5].split.validation_subjects


def test_folds_of_the_training_people_leave_the_test_people_out(recordings):
    for each in plan_folds(load_config(None, []), recordings, (0,), 3, with_test_people=False):
        people = {*each.split.train_subjects, *each.split.validation_subjects, *each.split.test_subjects}
        assert not people & set(DATASETS["hapt"].test_subjects)
        assert len(people) == 21
    with pytest.raises(ConfigError, match="everybody is held out once"):
        plan_folds(load_config(None, ['test_subjects=["1"]']), recordings, (0,), 3, with_test_people=True)


def test_finished_runs_are_kept_and_added_up(recordings, tmp_path):
    planned = plan_official(load_config(None, SMALL), recordings, (0, 1))
    seen = []
    summary = cross_validate(planned, tmp_path, jobs=1, progress=False, on_done=lambda run: seen.append(run.path.name))
    assert seen == ["seed0", "seed1"]
    before = (tmp_path / "seed0" / "run.json").stat().st_mtime_ns
    assert cross_validate(planned, tmp_path, jobs=1, progress=False, on_done=lambda run: None) == summary
    assert (tmp_path / "seed0" / "run.json").stat().st_mtime_ns == before
    rows = summary["runs"]
    assert summary["accuracy"]["mean"] == pytest.approx(np.mean([row["accuracy"] for row in rows]))
    assert summary["accuracy"]["sd"] == pytest.approx(np.std([row["accuracy"] for row in rows], ddof=1))
    people = summary["subjects"]
    assert set(people) == set(DATASETS["hapt"].test_subjects)
    windows = np.array([p["windows"] for p in people.values()])
    by_person = np.array([p["accuracy"] for p in people.values()])
    assert windows.sum() == rows[0]["windows"]
    assert (windows * by_person).sum() / windows.sum() == pytest.approx(summary["accuracy"]["mean"])
    with pytest.raises(UsageError, match="seed0: was trained with epochs 1, not 2"):
        cross_validate(
            plan_official(load_config(None, [*SMALL, "epochs=2"]), recordings, (0,)),
            tmp_path, jobs=1, progress=False, on_done=lambda run: None,
        )  # fmt: skip


def test_wrong_use_is_one_line_and_exit_code_2(tmp_path, capsys):
    for words, message in (
        (["--jobs", "0"], "--jobs is 0, expected 1 or more"),
        (["--seeds", "0,0"], "'0,0' names a seed twice"),
        (["--seeds", "many"], "'many': expected whole numbers"),
        (["--teachers", str(tmp_path)], "none of its 0 finished runs holds out"),
    ):
        try:
            code = cli.main(["crossval", "--out", str(tmp_path / "out"), *words])
        except SystemExit as stopped:  # argparse's own
            code = stopped.code
        assert code == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_interrupted_in_two_processes_it_goes_on_to_the_same_weights(tmp_path):
    """A Ctrl-C while two trainings run; the same command again finishes them, bit for bit as one at a time."""
    for epochs in (6, 30, 150):  # a busy computer may not hear of the first checkpoint before the last
        words = [word for item in [*SMALL, f"epochs={epochs}"] for word in ("--set", item)]
        command = [sys.executable, "-m", "edgehar", "crossval", "--official", "--seeds", "0,1", *words]
        out = tmp_path / f"{epochs}"
        process = subprocess.Popen(
            [*command, "--jobs", "2", "--out", str(out)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        while not list(out.glob("*/checkpoints/last.ckpt")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=240)
        if process.returncode != 0:
            break
    assert process.returncode == 130, err
    assert "the same command goes on" in err
    assert "Traceback" not in err
    summary = tmp_path / "summary.json"
    subprocess.run([*command, "--jobs", "2", "--out", out, "--json", summary], check=True, capture_output=True)
    subprocess.run([*command, "--jobs", "1", "--out", tmp_path / "one"], check=True, capture_output=True)
    for seed in ("seed0", "seed1"):
        weights = [(folder / seed / "weights.safetensors").read_bytes() for folder in (out, tmp_path / "one")]
        assert weights[0] == weights[1]
    assert json.loads(summary.read_text())["seeds"] == [0, 1]
