"""Training on real recordings: what a run leaves behind, and what happens when it is stopped."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from signalled import run_signalled

from edgehar.cli import main
from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.errors import DataError, UsageError
from edgehar.facts import find
from edgehar.heads import Task
from edgehar.models import model_entry
from edgehar.recording import IMU_CHANNELS
from edgehar.signal import NetworkInput, default_front_end, sliding_windows, window_labels, window_starts
from edgehar.training.augment import augment, rotations, triads
from edgehar.training.config import Augmentation, TrainConfig, load_config
from edgehar.training.fit import make_split, train
from edgehar.training.module import HarModule
from edgehar.training.run_folder import READ_LATER, open_run
from edgehar.training.windows import TrainingBatches, recording_truth, shifting_windows

SMALL = ["epochs=3", "validation_subjects=1", "model_options={stem_channels = 8, blocks = [[16, 9, 2]]}", "hop=128"]
SET = [word for item in SMALL for word in ("--set", item)]
CHECKPOINT = r"os\.rename .*/last\.ckpt"
NO_CHANGES = Augmentation(rotation_deg=0.0, scale=0.0, shift=0)
WHOLE_WINDOW = (NetworkInput("window", tuple(range(9))),)


@pytest.fixture(scope="module")
def small():
    return load_config(None, SMALL)


@pytest.fixture(scope="module")
def run(small, tmp_path_factory):
    return train(small, tmp_path_factory.mktemp("train") / "run", progress=False)


def test_run_folder_holds_what_it_says(run, small):
    names = {p.name for p in run.path.iterdir()}
    assert names == {
        "run.json", "config.json", "data.json", "weights.safetensors", "learning_curves.png", "history.csv",
        "tensorboard", "baseline.json", "baseline.npz", "checkpoints",
    }  # fmt: skip
    assert run.config == small
    assert run.record["metrics"]["test"]["accuracy"] > 0.7
    assert run.record["epochs_run"] == 3
    assert (run.path / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    assert len((run.path / "history.csv").read_text().splitlines()) == 4
    baseline = json.loads((run.path / "baseline.json").read_text())
    assert baseline["device"]
    assert baseline["accuracy"] == run.record["metrics"]["test"]["accuracy"]


def test_nobody_is_on_two_sides(run):
    split = run.split
    assert set(split.test_subjects) == {"2", "4", "9", "10", "12", "13", "18", "20", "24"}
    assert len(split.validation_subjects) == 1
    people = [*split.train_subjects, *split.validation_subjects, *split.test_subjects]
    assert len(set(people)) == len(people) == 30


def test_opened_run_computes_the_recorded_logits(run, small):
    again = open_run(run.path)
    recording = select(load_dataset("hapt"), ("2",))[0]
    windows = sliding_windows(again.front_end.run(recording.samples), small.window, small.hop)[:50]
    with torch.no_grad():
        logits = again.network(torch.from_numpy(windows.copy())).numpy()
    with np.load(run.path / "baseline.npz") as saved:
        # Batches of another size take other code paths in the matrix library; the last bits may differ.
        assert np.abs(logits - saved[f"logits/{recording.name}"][:50]).max() < 1e-4


def test_finished_runs_and_strangers_folders_are_kept(run, small, tmp_path):
    with pytest.raises(UsageError, match="finished run, which is kept"):
        train(small, run.path, progress=False)
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(UsageError, match=r"'thesis\.txt', so it is not a run folder"):
        train(small, tmp_path, progress=False)
    with pytest.raises(UsageError, match="nothing to resume"):
        train(small, tmp_path / "new", resume=True, progress=False)
    with pytest.raises(UsageError, match="not a run folder"):
        open_run(tmp_path)


def test_damaged_weights_are_named(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    (copy / "weights.safetensors").write_bytes(b"\x08" + b"\0" * 20)
    with pytest.raises(DataError, match="damaged run folder"):
        open_run(copy)
    (copy / "run.json").write_text("{")
    with pytest.raises(DataError, match="damaged run folder"):
        open_run(copy)


@pytest.mark.parametrize("field", READ_LATER)
def test_a_record_without_what_is_read_later_is_damaged(run, tmp_path, field):
    shutil.copytree(run.path, tmp_path / "copy")
    record = json.loads((run.path / "run.json").read_text())
    outer, _, last = field.rpartition(".")
    (find(record, outer) if outer else record)[last] = [None]
    (tmp_path / "copy" / "run.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="damaged run folder"):
        open_run(tmp_path / "copy")


def test_interrupted_training_resumes_to_the_same_weights(run, tmp_path):
    """A real Ctrl-C in a real process as its second checkpoint is due, then --resume: the uninterrupted weights."""
    out = tmp_path / "run"
    done = run_signalled(signal.SIGINT, CHECKPOINT, 2, "train", "--out", out, *SET)
    assert done.returncode == 130, done.stderr
    assert f"--resume {out}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (out / "run.json").exists()
    with pytest.raises(UsageError, match="has not finished"):
        open_run(out)
    resumed = train(load_config(None, SMALL), out, resume=True, progress=False)
    assert (out / "weights.safetensors").read_bytes() == (run.path / "weights.safetensors").read_bytes()
    assert resumed.record["metrics"] == run.record["metrics"]
    assert (out / "history.csv").read_text() == (run.path / "history.csv").read_text()


def test_training_killed_twice_goes_on_to_the_same_weights(run, tmp_path):
    """kill -9 in the second epoch, and in the third of what goes on; tools/kill_tests.py does it anywhere."""
    out = tmp_path / "run"
    for arguments in (["--out", out, *SET], ["--resume", out]):
        done = run_signalled(signal.SIGKILL, CHECKPOINT, 2, "train", *arguments)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert (out / "checkpoints" / "last.ckpt").exists()
        assert not (out / "run.json").exists()
    (out / ".run.json.abcd_123.edgehar-part").write_text("half of it")  # as a kill leaves it
    resumed = train(load_config(None, SMALL), out, resume=True, progress=False)
    assert (out / "weights.safetensors").read_bytes() == (run.path / "weights.safetensors").read_bytes()
    assert resumed.record["metrics"] == run.record["metrics"]
    assert (out / "history.csv").read_text() == (run.path / "history.csv").read_text()


def test_killed_before_its_first_checkpoint_nothing_of_it_gets_into_another_training(run, small, tmp_path):
    (tmp_path / "tensorboard").mkdir()
    for name in ("history.csv", "start.json", "tensorboard/events", ".history.csv.abcd_123.edgehar-part"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "config.json").write_bytes((run.path / "config.json").read_bytes())
    found = train(replace(small, epochs=1), tmp_path, progress=False)
    assert "start" not in found.record
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 2
    assert not (tmp_path / "tensorboard" / "events").exists()


def test_edgehar_run_goes_on_with_no_other_training(run, tmp_path, capsys):
    shutil.copytree(run.path, tmp_path / "run")
    other = [f"--set={item}" for item in SMALL if not item.startswith("epochs")]
    assert main(["run", "--out", str(tmp_path), *other, "--set=epochs=4"]) == 2
    assert "holds a training with epochs = 3, asked for is 4; choose another --out" in capsys.readouterr().err


def test_unaugmented_training_windows_are_the_streams_windows():
    """What training sees is what the device computes, bit for bit, except a recording's very first difference."""
    recordings = select(load_dataset("hapt"), ("1",))
    front_end = default_front_end(IMU_CHANNELS)
    config = TrainConfig(augmentation=NO_CHANGES, batch_size=16)
    batches = TrainingBatches(recordings, front_end, WHOLE_WINDOW, config)
    streamed = np.concatenate([sliding_windows(front_end.run(r.samples), 128, 64) for r in recordings])
    known = {window.tobytes() for window in streamed}
    features, labels = next(iter(batches))
    assert all(window.tobytes() in known for window in features.numpy())
    assert labels.min() >= 0


def test_a_balanced_heads_answers_weigh_by_the_training_windows():
    recordings = select(load_dataset("hapt"), ("1",))
    heads = load_config(Path(__file__).parents[2] / "configs" / "hapt_multitask.toml").heads
    config = TrainConfig(heads=(*heads[:2], replace(heads[2], balance=True)), batch_size=16)
    batches = TrainingBatches(recordings, default_front_end(IMU_CHANNELS), WHOLE_WINDOW, config)
    assert batches.answer_weights()[:2] == (None, None)
    no, yes = batches.answer_weights()[2][:, 0].tolist()
    truth = torch.cat([batch[-1][:, 2] for batch in batches])  # all windows but the odd rest of a batch
    counts = [int((truth == answer).sum()) for answer in (0, 1)]
    assert yes / no == pytest.approx(counts[0] / counts[1], rel=0.1)
    assert yes > 3
    module = HarModule(model_entry("ds_cnn").build(model_entry("ds_cnn").tiny, [(128, 9)], 6), config, 1)
    outputs = (torch.zeros(2, 6), torch.zeros(2, 1), torch.tensor([[2.0], [2.0]]))
    known = torch.tensor([[-1, -1, 0], [-1, -1, 1]])
    plain = float(module.loss(outputs, known))
    module.answer_weights = batches.answer_weights()
    assert float(module.loss(outputs, known)) < plain / 2  # the wrong "yes" is the answer that counts less


def test_batches_depend_on_seed_and_epoch_alone():
    recordings = select(load_dataset("hapt"), ("1",))

    def make(seed):
        config = TrainConfig(seed=seed, batch_size=16)
        return TrainingBatches(recordings, default_front_end(IMU_CHANNELS), WHOLE_WINDOW, config)

    one, same, other = make(0), make(0), make(1)
    first = next(iter(one))[0]
    assert torch.equal(first, next(iter(same))[0])
    assert not torch.equal(first, next(iter(other))[0])
    one.epoch = 1
    assert not torch.equal(first, next(iter(one))[0])


def test_shifting_windows_stay_within_their_activity():
    labels = np.repeat(np.int16([-1, 0, 1, 1, -1]), [10, 200, 100, 60, 300])
    truth_at = window_labels(labels, 64, 1)[:, None]
    entries = shifting_windows(truth_at, window_starts(len(labels), 64, 32), shift=64)
    assert {e.truth for e in entries} == {(0,), (1,)}
    for entry in entries:
        for start in (entry.first, entry.last):
            assert (labels[start : start + 64] == entry.truth[0]).all()


def test_shifting_windows_keep_the_truth_of_every_head():
    truth_at = np.int16([[0, 1], [0, 1], [0, -1], [0, -1], [0, 1], [-1, -1], [-1, 0]])
    entries = shifting_windows(truth_at, np.arange(7), shift=6)
    assert [(e.first, e.last, e.truth) for e in entries] == [
        (0, 1, (0, 1)), (0, 1, (0, 1)), (2, 3, (0, -1)), (2, 3, (0, -1)), (4, 4, (0, 1)), (6, 6, (-1, 0)),
    ]  # fmt: skip


def test_labels_are_mapped_by_name():
    recording = select(load_dataset("hapt"), ("1",))[0]
    (mapped,) = recording_truth(recording, [Task("activity", "multiclass", ("sitting", "walking"))], 1, 1)
    assert (mapped[recording.labels == recording.label_names.index("sitting")] == 0).all()
    assert (mapped[recording.labels == recording.label_names.index("upstairs")] == -1).all()
    with pytest.raises(DataError, match="label 'flying' is not in the data"):
        recording_truth(recording, [Task("activity", "multiclass", ("flying", "walking"))], 1, 1)


def test_split_and_test_people():
    recordings = load_dataset("hapt")
    split = make_split(TrainConfig(test_subjects=("1", "3"), validation_subjects=0), recordings)
    assert split.test_subjects == ("1", "3")
    assert len(split.train_subjects) == 28
    with pytest.raises(DataError, match="99"):
        make_split(TrainConfig(test_subjects=("99",)), recordings)


def test_rotations_are_rotations():
    rng = np.random.default_rng(0)
    matrices = rotations(50, 20.0, rng)
    assert np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max() < 1e-5
    assert np.abs(np.linalg.det(matrices) - 1).max() < 1e-5
    angle = np.degrees(np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert angle.max() <= 20.01
    assert triads(IMU_CHANNELS) == {"": [(0, 1, 2), (3, 4, 5)]}
    x = rng.normal(size=(8, 20, 6)).astype(np.float32)
    turned = augment(x, IMU_CHANNELS, Augmentation(scale=0.0), rng)
    assert np.abs(np.linalg.norm(turned[..., :3], axis=-1) - np.linalg.norm(x[..., :3], axis=-1)).max() < 1e-5
    silent = augment(x, IMU_CHANNELS, Augmentation(sensor_dropout=1.0), rng)
    assert (silent[..., 3:] == 0).all()
    assert (silent[..., :3] != 0).any()
