"""Inputs that come ready made, one a row: feature vectors, or windows that no recording leads to. numpy only.

A :class:`~edgehar.recording.Recording` is a stream, and a window of it is cut, filtered and answered as on a device.
Some data sets publish only what was computed of each window. Such rows cannot be streamed, so they are a type of their
own: they train and score a network and calibrate its export, and that is all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgehar.datasets.splits import Split, sort_subjects
from edgehar.errors import DataError
from edgehar.heads import Task

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows of many people, with the truth of each.

    Attributes:
        values: ``[N, K]`` feature vectors or ``[N, T, C]`` windows, float32; NaN where a sensor was absent.
        columns: what each of the last axis is.
        subjects: ``[N]`` text, whose row it is; splits are made by it.
        task: what a network is asked of a row.
        truth: ``[N, W]`` int16 as the task has it (:mod:`edgehar.heads`), -1 where unknown.
        test_groups: people that the official protocol tests on, one group a fold.
        source: where the rows came from (name, citation).
        licence: under which terms.
    """

    values: F32
    columns: tuple[str, ...]
    subjects: NDArray[np.str_]
    task: Task
    truth: NDArray[np.int16]
    test_groups: tuple[tuple[str, ...], ...]
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        count = len(self.values)
        if self.values.ndim not in (2, 3) or self.values.shape[-1] != len(self.columns) or not count:
            raise DataError(
                f"values have shape {self.values.shape}, expected [N, {len(self.columns)}] or [N, T, "
                f"{len(self.columns)}] with at least one row for {len(self.columns)} columns"
            )
        if self.values.dtype != np.float32 or np.isinf(self.values).any():
            raise DataError(
                f"values are {self.values.dtype}{', some of them infinite' * bool(np.isinf(self.values).any())}; "
                "expected finite float32, NaN where a sensor was absent"
            )
        if self.subjects.shape != (count,) or self.truth.shape != (count, self.task.columns):
            raise DataError(
                f"{self.subjects.shape} subjects and {self.truth.shape} truth for {count} rows; expected [{count}] and "
                f"[{count}, {self.task.columns}]"
            )
        answers = len(self.task.labels) if self.task.kind == "multiclass" else 2
        if self.truth.min() < -1 or self.truth.max() >= answers:
            raise DataError(
                f"truth runs from {self.truth.min()} to {self.truth.max()}, expected -1 (unknown) to {answers - 1}"
            )
        _ = self.splits  # people of two groups, or of none, are an error here and not in the third fold

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody, in numeric order."""
        return sort_subjects(np.unique(self.subjects).tolist())

    @property
    def splits(self) -> tuple[Split, ...]:
        """The official folds: one group is tested, everybody else trains.

        Raises:
            DataError: a group names somebody who has no rows, or somebody twice.
        """
        people = self.people
        if strangers := {s for group in self.test_groups for s in group} - set(people):
            raise DataError(f"no rows of subjects {', '.join(sort_subjects(strangers))}, who are in a test group")
        tested = [s for group in self.test_groups for s in group]
        if twice := sort_subjects({s for s in tested if tested.count(s) > 1}):
            raise DataError(f"subjects {', '.join(twice)} are in two test groups")
        return tuple(Split(tuple(s for s in people if s not in group), (), group) for group in self.test_groups)

    def rows(self, subjects: Collection[str]) -> NDArray[np.int64]:
        """Return the places of these people's rows, in order."""
        return np.flatnonzero(np.isin(self.subjects, list(subjects)))

    def take(self, rows: NDArray[np.int64]) -> Examples:
        """Return some rows; whoever of the test groups has none of them leaves the groups."""
        left = set(np.unique(self.subjects[rows]).tolist())
        groups = tuple(tuple(s for s in group if s in left) for group in self.test_groups)
        return replace(
            self,
            values=self.values[rows],
            subjects=self.subjects[rows],
            truth=self.truth[rows],
            test_groups=tuple(group for group in groups if group),
        )

    def asked(self, labels: Collection[str]) -> Examples:
        """Return the same rows asked for some of the labels of a multilabel task, in the order given.

        Raises:
            DataError: the task has no such label, or is not multilabel.
        """
        if self.task.kind != "multilabel":
            raise DataError(f"task {self.task.name!r} is {self.task.kind}; labels can be chosen of a multilabel one")
        for label in labels:
            if label not in self.task.labels:
                raise DataError(f"label {label!r} is not in the data, which have {', '.join(self.task.labels)}")
        columns = [self.task.labels.index(label) for label in labels]
        return replace(self, task=replace(self.task, labels=tuple(labels)), truth=self.truth[:, columns])


@dataclass(frozen=True)
class ExampleSet:
    """One line of the table of data sets of examples.

    Attributes:
        name: what a config calls it.
        title: full name.
        load: reads it.
        ready: whether ``load`` would find its data on this machine; cheap.
    """

    name: str
    title: str
    load: Callable[[], Examples]
    ready: Callable[[], bool]
