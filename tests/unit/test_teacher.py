"""Distillation: what a teacher says about a student's windows, whom it may teach, and what comes of it."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgehar.datasets import load_dataset
from edgehar.datasets.splits import Split, select
from edgehar.errors import ConfigError, UsageError
from edgehar.signal import sliding_windows
from edgehar.training.config import TeacherConfig, load_config
from edgehar.training.crossval import PlannedRun, plan_official, taught_by
from edgehar.training.fit import fit_front_end, train
from edgehar.training.run_folder import open_run
from edgehar.training.teacher import Teacher, distillation_loss, open_teacher

SMALL = ["epochs=1", "validation_subjects=1", "model_options={stem_channels = 8, blocks = [[16, 9, 2]]}", "hop=256"]


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """Two seeds on the official split: other weights, other validation people, so another standardization."""
    folder = tmp_path_factory.mktemp("teachers")
    for each in plan_official(load_config(None, SMALL), load_dataset("hapt"), (0, 1)):
        train(each.config, folder / each.name, split=each.split, progress=False)
    return folder


def test_it_says_the_mean_of_its_networks_on_their_own_features(teachers):
    runs = [open_run(teachers / name) for name in ("seed0", "seed1")]
    assert runs[0].front_end.mean != runs[1].front_end.mean
    recordings = load_dataset("hapt")
    student = fit_front_end(load_config(None, SMALL), select(recordings, ("5", "6")))
    samples = recordings[0].samples[:2000]

    def windows(front_end):
        return torch.from_numpy(np.ascontiguousarray(sliding_windows(front_end.run(samples), 128, 64)))

    with torch.no_grad():
        expected = sum(run.network(windows(run.front_end)) for run in runs) / 2
    said = Teacher(runs, student).logits([windows(student)])
    assert (said - expected).abs().max() < 1e-3 * expected.abs().max()


def test_distillation_loss_is_the_divergence_at_a_temperature():
    rng = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 5, 6, generator=rng, dtype=torch.float64)
    p, q = functional.softmax(teacher / 3, dim=1), functional.softmax(student / 3, dim=1)
    expected = (p * (p / q).log()).sum(dim=1).mean() * 9
    assert distillation_loss(student, teacher, 3.0) == pytest.approx(expected)
    assert distillation_loss(teacher, teacher, 3.0) == pytest.approx(0.0, abs=1e-12)


def test_a_teacher_may_not_have_seen_the_students_test_people(teachers):
    run = open_run(teachers / "seed0")
    config = dataclasses.replace(run.config, teacher=TeacherConfig(runs=(str(run.path),)))
    assert open_teacher(config, run.split, run.front_end, run.inputs) is not None
    leaky = Split(("98", "99"), (), (run.split.train_subjects[0], *run.split.test_subjects))
    with pytest.raises(UsageError, match=f"was trained on {run.split.train_subjects[0]}, of this run's test people"):
        open_teacher(config, leaky, run.front_end, run.inputs)
    stopping = dataclasses.replace(config, early_stop_patience=3)
    stopped_by = Split(("98", "99"), (run.split.train_subjects[0],), run.split.test_subjects)
    with pytest.raises(UsageError, match="this run's validation people"):
        open_teacher(stopping, stopped_by, run.front_end, run.inputs)
    with pytest.raises(UsageError, match="has other window: 128, this run has 64"):
        open_teacher(dataclasses.replace(config, window=64), run.split, run.front_end, run.inputs)
    with pytest.raises(UsageError, match="not a run folder"):
        open_teacher(
            dataclasses.replace(config, teacher=TeacherConfig(runs=(str(teachers / "nobody"),))),
            run.split, run.front_end, run.inputs,
        )  # fmt: skip
    with pytest.raises(ConfigError, match=r"teacher\.weight is 0"):
        load_config(None, ["teacher.weight=0"])


def test_a_student_of_the_same_people_follows_its_teachers(teachers, tmp_path):
    recordings = load_dataset("hapt")
    (alone,) = plan_official(load_config(None, [*SMALL, "teacher.weight=1"]), recordings, (3,))
    (taught,) = taught_by([alone], teachers)
    assert [name[-5:] for name in taught.config.teacher.runs] == ["seed0", "seed1"]
    run = train(taught.config, tmp_path / "taught", split=taught.split, progress=False)
    other = train(alone.config, tmp_path / "alone", split=alone.split, progress=False)
    teacher = Teacher([open_run(teachers / name) for name in ("seed0", "seed1")], run.front_end)
    features = run.front_end.run(recordings[0].samples[:6000])
    windows = torch.from_numpy(np.ascontiguousarray(sliding_windows(features, 128, 64)))

    def distance(student):
        with torch.no_grad():
            return float(distillation_loss(student.network(windows), teacher.logits([windows]), 1.0))

    assert distance(run) < distance(other)
    stranger = PlannedRun("seed0", alone.config, Split(("1",), (), ("2",)))
    with pytest.raises(UsageError, match="none of its 2 finished runs holds out 2, as seed0 does"):
        taught_by([stranger], teachers)
