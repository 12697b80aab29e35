"""What one head is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

KINDS = ("multiclass", "binary", "multilabel")
NOT = "not_"  # a group of this prefix holds the activities that mean "no"


@dataclass(frozen=True)
class Task:
    """One question to a window, and how its truth follows from a data set's labels.

    Attributes:
        name: e.g. ``activity``.
        kind: ``multiclass`` chooses one of two or more labels; ``binary`` answers yes or no to one; ``multilabel``
            answers each of its labels yes or no.
        labels: one a logit, in order.
        groups: label → the data set's labels it is made of; a label without a group is the data set's label of the
            same name. Under ``not_LABEL`` a binary or multilabel head names what means "no"; without it every other
            label does. A label in no group of its head is unknown to it: no loss, not scored.
        purity: share of a window's samples that must agree for the window to have a truth, 0.5 to 1.

    Raises:
        ValueError: these do not fit together.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    purity: float = 1.0

    def __post_init__(self) -> None:
        where = f"head {self.name!r}"
        if not self.name.isidentifier():
            raise ValueError(f"{where}: the name becomes an output's, expected letters, digits and _")
        if self.kind not in KINDS:
            raise ValueError(f"{where}: kind is {self.kind!r}, expected {', '.join(KINDS)}")
        fits = {"multiclass": len(self.labels) >= 2, "binary": len(self.labels) == 1, "multilabel": bool(self.labels)}
        if not fits[self.kind] or len(set(self.labels)) != len(self.labels):
            raise ValueError(
                f"{where}: labels of a {self.kind} head are {list(self.labels)}, expected different ones: at least "
                "two for multiclass, the one that means yes for binary, at least one for multilabel"
            )
        if not 0.5 <= self.purity <= 1:
            raise ValueError(f"{where}: purity is {self.purity}, expected 0.5 to 1")
        self._check_groups(where)

    def _check_groups(self, where: str) -> None:
        refusals = () if self.kind == "multiclass" else tuple(NOT + label for label in self.labels)
        for key, names in self.groups.items():
            if key not in (*self.labels, *refusals) or not names:
                raise ValueError(
                    f"{where}: group {key!r} of {list(names)}, expected names under {', '.join(self.labels + refusals)}"
                )
        # a multiclass head has one answer a sample; the yes and no of one label exclude each other
        rivals = [self.labels] if self.kind == "multiclass" else [(label, NOT + label) for label in self.labels]
        for keys in rivals:
            meant = [name for key in keys if key in self.groups or key in self.labels for name in self.sources(key)]
            twice = sorted({name for name in meant if meant.count(name) > 1})
            if twice:
                raise ValueError(f"{where}: {twice[0]!r} stands under two of {', '.join(keys)}, expected under one")

    @property
    def columns(self) -> int:
        """How many numbers answer a window: the class, or one yes (1) or no (0) a label."""
        return 1 if self.kind == "multiclass" else len(self.labels)

    @property
    def is_plain(self) -> bool:
        """The labels are the data set's own, and all samples of a window must agree."""
        return not self.groups and self.purity == 1

    def sources(self, label: str) -> tuple[str, ...]:
        """Return the data set's labels that mean ``label``."""
        return tuple(self.groups.get(label, (label,)))

    def refusals(self, label: str) -> tuple[str, ...] | None:
        """Return the data set's labels that mean "no", None where every other one does."""
        names = self.groups.get(NOT + label)
        return None if names is None else tuple(names)


def label_sources(tasks: Iterable[Task]) -> tuple[str, ...]:
    """Return every label of the data set that the tasks name, first named first."""
    names = [
        name
        for task in tasks
        for label in task.labels
        for name in (*task.sources(label), *(task.refusals(label) or ()))
    ]
    return tuple(dict.fromkeys(names))
