"""Seeds times folds: which runs, running them (on from where they stopped), and what they add up to."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgehar.datasets import find_dataset, load_dataset
from edgehar.datasets.splits import Split, k_fold_by_subject, sort_subjects, with_validation
from edgehar.errors import ConfigError, UsageError
from edgehar.heads import UNKNOWN
from edgehar.recording import Recording
from edgehar.training.config import TrainConfig
from edgehar.training.fit import make_split, train
from edgehar.training.run_folder import CONFIG_FILE, TrainedRun, check_same_data, data_record, open_run, read_config
from edgehar.training.windows import recording_truth

FOLD_SEED = 7  # the same folds whatever is compared
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class PlannedRun:
    """One training of several.

    Attributes:
        name: of its run folder: ``seed0-fold3``, or ``seed0`` on the official split.
        config: with the run's own seed.
        split: who trains, validates and is held out.
    """

    name: str
    config: TrainConfig
    split: Split


def plan_folds(
    config: TrainConfig, recordings: Sequence[Recording], seeds: Sequence[int], folds: int, *, with_test_people: bool
) -> tuple[PlannedRun, ...]:
    """Return a run for every seed and fold; the folds are the same for every seed and config.

    Args:
        config: what all of them do.
        recordings: of the data set.
        seeds: one run of every fold each.
        folds: groups of people, each held out once.
        with_test_people: fold the data set's official test people in; without, the figures may decide between models.

    Raises:
        ConfigError: the config names test people.
        DataError: more folds than people.
    """
    if config.test_subjects:
        raise ConfigError("test_subjects is given, but with folds everybody is held out once; drop one of the two")
    people = {r.subject for r in recordings}
    if not with_test_people:
        people -= set(find_dataset(config.dataset).test_subjects)
    return tuple(
        PlannedRun(
            f"seed{seed}-fold{i}",
            dataclasses.replace(config, seed=seed),
            with_validation(fold, config.validation_subjects, seed),
        )
        for seed in seeds
        for i, fold in enumerate(k_fold_by_subject(people, folds, FOLD_SEED))
    )


def plan_official(config: TrainConfig, recordings: Sequence[Recording], seeds: Sequence[int]) -> tuple[PlannedRun, ...]:
    """Return a run for every seed, on the split that the data set or the config names."""
    configs = [dataclasses.replace(config, seed=seed) for seed in seeds]
    return tuple(PlannedRun(f"seed{c.seed}", c, make_split(c, recordings)) for c in configs)


def taught_by(planned: Sequence[PlannedRun], folder: Path) -> tuple[PlannedRun, ...]:
    """Return the runs with those of ``folder`` as teachers that hold the same people out, whatever their seed.

    Raises:
        UsageError: nobody there holds out the people of one of the runs.
    """
    teachers = [open_run(each.parent) for each in sorted(folder.glob("*/run.json"))]
    taught = []
    for each in planned:
        same = tuple(str(run.path) for run in teachers if run.split.test_subjects == each.split.test_subjects)
        if not same:
            people = ", ".join(each.split.test_subjects)
            raise UsageError(
                f"{folder}: none of its {len(teachers)} finished runs holds out {people}, as {each.name} does"
            )
        teacher = dataclasses.replace(each.config.teacher, runs=same)
        taught.append(dataclasses.replace(each, config=dataclasses.replace(each.config, teacher=teacher)))
    return tuple(taught)


def finished(planned: PlannedRun, out: Path, data: Mapping[str, Any]) -> bool:
    """Say whether ``out`` holds this run already.

    Args:
        planned: the run.
        out: holds its folder.
        data: what the data set is now.

    Raises:
        UsageError: the run in its folder was made, or begun, with another config or split.
        DataError: it was made from other recordings.
    """
    folder = out / planned.name
    if (folder / "run.json").is_file():
        run = open_run(folder)
        if run.config != planned.config or run.split != planned.split:
            raise UsageError(f"{folder}: was trained {_difference(run.config, planned.config)}; choose another --out")
        check_same_data(folder, run.record["data"], data)
        return True
    if (folder / CONFIG_FILE).is_file() and (begun := read_config(folder)) != planned.config:
        raise UsageError(f"{folder}: was begun {_difference(begun, planned.config)}; choose another --out")
    return False


def _difference(found: TrainConfig, wanted: TrainConfig) -> str:
    for field in dataclasses.fields(TrainConfig):
        was, now = getattr(found, field.name), getattr(wanted, field.name)
        if was != now:
            return f"with {field.name} {was!r}, not {now!r}"
    return "on other people"


def run_all(
    planned: Sequence[PlannedRun],
    out: Path,
    data: Mapping[str, Any],
    *,
    jobs: int,
    progress: bool,
    on_done: Callable[[TrainedRun], None],
) -> None:
    """Train what is not finished yet, each on one thread, so that ``jobs`` changes no weight.

    Args:
        planned: the runs.
        out: gets a run folder for each.
        data: what the data set is now; finished runs must be made from it.
        jobs: trainings at a time; more than one run in processes of their own.
        progress: show each training's bar, where there is one at a time.
        on_done: called in this process with each run as it ends, also with those that were there before.

    Raises:
        UsageError: a folder holds another run.
        DataError: a finished run was made from other recordings.
        KeyboardInterrupt: stopped by the user; the same call goes on where this one stopped.
    """
    waiting = []
    for each in planned:
        if finished(each, out, data):
            on_done(open_run(out / each.name))
        else:
            waiting.append(each)
    jobs = min(jobs, len(waiting))
    if jobs > 1:
        _run_in_processes(waiting, out, jobs, on_done)
        return
    for each in waiting:
        on_done(open_run(_run_one(each, out, progress=progress)))


def _run_one(planned: PlannedRun, out: Path, *, progress: bool) -> Path:
    folder = out / planned.name
    resume = (folder / "checkpoints" / "last.ckpt").is_file()
    with _one_thread():
        train(planned.config, folder, split=planned.split, resume=resume, progress=progress)
    return folder


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run_in_processes(
    waiting: Sequence[PlannedRun], out: Path, jobs: int, on_done: Callable[[TrainedRun], None]
) -> None:
    """Keep ``jobs`` workers busy; each is handed its next run when it is free, so that a stop leaves none queued."""
    spawn = multiprocessing.get_context("spawn")  # a fork would copy torch's thread pool half alive
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_leave_interrupts_to_the_parent) as pool:
        queue = list(waiting)
        running: set[Future[Path]] = set()
        try:
            while queue or running:
                while queue and len(running) < jobs:
                    with _interrupts_held():
                        running.add(pool.submit(_run_in_worker, queue.pop(0), out))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    on_done(open_run(future.result()))
        except BaseException:
            for worker in multiprocessing.active_children():
                if worker.pid is not None:
                    os.kill(worker.pid, signal.SIGINT)
            raise


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back, here and in a process that starts meanwhile, which may be too young to be told of it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_interrupts_to_the_parent() -> None:
    """Take a worker out of the terminal's process group: it gets one interrupt, the parent's, and heeds it at work."""
    os.setpgrp()


def _run_in_worker(planned: PlannedRun, out: Path) -> Path:
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return _run_one(planned, out, progress=False)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def summarize(planned: Sequence[PlannedRun], out: Path, recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return what finished runs add up to, as plain JSON data.

    A seed's accuracy is its right windows over its windows, all folds together; its macro-F1 the mean of the folds'.
    ``mean`` and ``sd`` (sample, None for one seed) are over seeds; a person's accuracy is the mean of the seeds'.
    """
    rows: list[dict[str, Any]] = []
    of_people: dict[str, list[tuple[int, int]]] = {}
    for each in planned:
        run = open_run(out / each.name)
        test = run.record["metrics"]["test"]
        people = _accuracy_by_person(run, recordings)
        for person, (windows, right) in people.items():
            of_people.setdefault(person, []).append((windows, right))
        rows.append(
            {
                "name": each.name,
                "seed": each.config.seed,
                "test_subjects": list(each.split.test_subjects),
                **{name: test[name] for name in ("windows", "accuracy", "macro_f1")},
                "training_s": run.record["training_s"],
            }
        )
    by_seed = {seed: [row for row in rows if row["seed"] == seed] for seed in dict.fromkeys(r["seed"] for r in rows)}
    accuracies = [
        sum(row["accuracy"] * row["windows"] for row in own) / sum(row["windows"] for row in own)
        for own in by_seed.values()
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "config": {
            name: value for name, value in planned[0].config.to_dict().items() if name not in ("seed", "teacher")
        },
        "teacher": _teacher_of(planned),
        "seeds": list(by_seed),
        "parameters": run.record["parameters"],
        "accuracy": _mean_and_sd(accuracies),
        "macro_f1": _mean_and_sd([statistics.fmean(row["macro_f1"] for row in own) for own in by_seed.values()]),
        "worst_run": min(rows, key=lambda row: row["accuracy"])["name"],
        "runs": rows,
        "subjects": {
            person: {
                "windows": of_people[person][0][0],
                "accuracy": statistics.fmean(right / windows for windows, right in of_people[person]),
            }
            for person in sort_subjects(of_people)
        },
    }


def _teacher_of(planned: Sequence[PlannedRun]) -> dict[str, Any] | None:
    first = planned[0].config.teacher
    if not first.runs:
        return None
    return {
        "runs": {each.name: [Path(run).name for run in each.config.teacher.runs] for each in planned},
        "weight": first.weight,
        "temperature": first.temperature,
    }


def _mean_and_sd(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if len(values) > 1 else None}


def _accuracy_by_person(run: TrainedRun, recordings: Sequence[Recording]) -> Mapping[str, tuple[int, int]]:
    """Return windows with a known truth, and how many of them the first head got right, of each held-out person."""
    counts: dict[str, tuple[int, int]] = {}
    with np.load(run.path / "baseline.npz") as saved:
        for recording in recordings:
            if f"labels/{recording.name}" not in saved:
                continue
            decided = saved[f"labels/{recording.name}"]
            truth = recording_truth(recording, run.config.tasks[:1], run.config.window, run.config.hop)[0][:, 0]
            known = truth != UNKNOWN
            windows, right = counts.get(recording.subject, (0, 0))
            right += int((decided[known] == truth[known]).sum())
            counts[recording.subject] = (windows + int(known.sum()), right)
    return {person: (windows, right) for person, (windows, right) in counts.items() if windows}


def cross_validate(
    planned: Sequence[PlannedRun], out: Path, *, jobs: int, progress: bool, on_done: Callable[[TrainedRun], None]
) -> dict[str, Any]:
    """Run everything that is planned and return its summary."""
    recordings = load_dataset(planned[0].config.dataset)
    run_all(planned, out, data_record(recordings), jobs=jobs, progress=progress, on_done=on_done)
    return summarize(planned, out, recordings)
