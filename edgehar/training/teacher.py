"""Distillation: finished runs whose mean logits a smaller network learns from, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from edgehar.datasets.splits import Split, sort_subjects
from edgehar.errors import UsageError
from edgehar.signal import FrontEnd, NetworkInput
from edgehar.training.config import TrainConfig
from edgehar.training.run_folder import TrainedRun, open_run


class Teacher:
    """Several trained networks as one: the mean of their logits, in the student's features.

    Each was standardized on its own training people, so the student's columns are rescaled for it, which also holds
    for mixed windows.
    """

    def __init__(self, runs: Sequence[TrainedRun], front_end: FrontEnd) -> None:
        self._networks = [run.network.requires_grad_(False) for run in runs]
        self._scales = [_rescaling(front_end, run.front_end, run.inputs) for run in runs]

    def to(self, device: torch.device) -> None:
        """Move the networks to where the batches are."""
        self._networks = [network.to(device) for network in self._networks]
        self._scales = [[(a.to(device), b.to(device)) for a, b in own] for own in self._scales]

    @torch.no_grad()
    def logits(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return ``[B, K]`` of the student's inputs."""
        every = [
            network(*(x * a + b for x, (a, b) in zip(inputs, scales, strict=True)))
            for network, scales in zip(self._networks, self._scales, strict=True)
        ]
        return torch.stack(every).mean(dim=0)


def _rescaling(student: FrontEnd, teacher: FrontEnd, inputs: Sequence[NetworkInput]) -> list[tuple[Tensor, Tensor]]:
    """Return ``a`` and ``b`` of each input, in float32: the student's columns times a, plus b, are the teacher's."""
    student_mean, student_inv = (torch.tensor(v, dtype=torch.float64) for v in (student.mean, student.inv_std))
    teacher_mean, teacher_inv = (torch.tensor(v, dtype=torch.float64) for v in (teacher.mean, teacher.inv_std))
    a = teacher_inv / student_inv
    b = (student_mean - teacher_mean) * teacher_inv
    return [(a[list(each.columns)].float(), b[list(each.columns)].float()) for each in inputs]


def open_teacher(
    config: TrainConfig, split: Split, front_end: FrontEnd, inputs: Sequence[NetworkInput]
) -> Teacher | None:
    """Return the teacher that ``config`` names, None where it names none.

    Raises:
        UsageError: a run does not fit: another data set, head, window or features, or trained on people whom the
            student is to be tested on (or stopped by).
    """
    runs = [open_run(Path(name)) for name in config.teacher.runs]
    for run in runs:
        _check(run, config, split, front_end, inputs)
    return Teacher(runs, front_end) if runs else None


def _check(
    run: TrainedRun, config: TrainConfig, split: Split, front_end: FrontEnd, inputs: Sequence[NetworkInput]
) -> None:
    where = f"teacher {run.path}"
    seen = {*run.split.train_subjects, *run.split.validation_subjects}
    kept = {"test": split.test_subjects}
    if config.early_stop_patience:
        kept["validation"] = split.validation_subjects
    for group, people in kept.items():
        if known := sort_subjects(seen.intersection(people)):
            raise UsageError(
                f"{where} was trained on {', '.join(known)}, of this run's {group} people: the figures would be those "
                "of windows it has seen; use a teacher of the same split"
            )
    for what, theirs, ours in (
        ("dataset", run.config.dataset, config.dataset),
        ("heads", run.config.tasks, config.tasks),
        ("window", run.config.window, config.window),
        ("features", _features(run.front_end), _features(front_end)),
        ("inputs", run.inputs, tuple(inputs)),
    ):
        if theirs != ours:
            raise UsageError(f"{where} has other {what}: {theirs}, this run has {ours}")
    if len(config.tasks) > 1 or any(each.features is not None for each in inputs):
        raise UsageError(f"{where} cannot teach: distillation is for one head and for inputs of front-end columns")


def _features(front_end: FrontEnd) -> tuple[object, ...]:
    """What a front end computes before the standardization."""
    return front_end.channels, front_end.select, front_end.gain, front_end.steps


def distillation_loss(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Return the divergence of the student's softened answers from the teacher's, in units of a cross-entropy.

    Args:
        logits: ``[B, K]`` of the student.
        taught: ``[B, K]`` of the teacher.
        temperature: both are divided by it; the result is multiplied by its square, so that gradients keep their size.

    Source: Hinton et al., Distilling the Knowledge in a Neural Network, 2015, section 2.
    """
    student, teacher = (functional.log_softmax(x / temperature, dim=1) for x in (logits, taught))
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2
