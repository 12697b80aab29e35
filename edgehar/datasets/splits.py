"""Who trains, who validates, who tests: always whole people, never windows.

People are drawn in the order of a hash of seed and name. So a draw depends on nothing but these two: not on the
order of the recordings, not on the version of a random generator.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from edgehar.errors import DataError
from edgehar.recording import Recording


@dataclass(frozen=True)
class Split:
    """Three groups of people that share nobody, each sorted.

    Attributes:
        train_subjects: whose recordings fit the weights.
        validation_subjects: whose recordings choose between runs; may be empty.
        test_subjects: whose recordings are looked at once.
    """

    train_subjects: tuple[str, ...]
    validation_subjects: tuple[str, ...]
    test_subjects: tuple[str, ...]

    def __post_init__(self) -> None:
        counts = Counter((*self.train_subjects, *self.validation_subjects, *self.test_subjects))
        if twice := sort_subjects(s for s, count in counts.items() if count > 1):
            raise DataError(
                f"subjects {', '.join(twice)} appear more than once in a split; a person belongs to exactly one of "
                "training, validation and test"
            )
        for group in ("train_subjects", "validation_subjects", "test_subjects"):
            object.__setattr__(self, group, sort_subjects(getattr(self, group)))


def sort_subjects(subjects: Iterable[str]) -> tuple[str, ...]:
    """Return subjects with their numbers in numeric order: 2 before 10, user2 before user10."""
    return tuple(sorted(subjects, key=_numeric_key))


def _numeric_key(subject: str) -> tuple[list[str | int], str]:
    # re.split with a group alternates text and digits, so two keys always compare like with like
    parts = re.split(r"([0-9]+)", subject)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], subject


def _drawn_order(subjects: Iterable[str], seed: int) -> list[str]:
    return sorted(subjects, key=lambda s: (hashlib.sha256(f"{seed}:{s}".encode()).digest(), s))


def _distinct(subjects: Collection[str]) -> tuple[str, ...]:
    if isinstance(subjects, str):
        raise ValueError(f"subjects is the text {subjects!r}, expected a collection of names")
    return sort_subjects(set(subjects))


def _check_known(subjects: Collection[str], known: tuple[str, ...]) -> None:
    if unknown := sort_subjects(set(subjects) - set(known)):
        raise DataError(f"no recordings of subjects {', '.join(unknown)}; the data hold {', '.join(known) or 'nobody'}")


def with_validation(split: Split, count: int, seed: int) -> Split:
    """Move ``count`` people, drawn by ``seed``, from training to validation.

    Raises:
        DataError: nobody would be left to train on.
    """
    if count < 0:
        raise ValueError(f"validation count is {count}, expected 0 or more")
    people = split.train_subjects
    if count >= len(people):
        raise DataError(f"{count} validation subjects asked for, but only {len(people)} train; leave at least one")
    drawn = _drawn_order(people, seed)[:count]
    return Split(tuple(s for s in people if s not in drawn), (*split.validation_subjects, *drawn), split.test_subjects)


def official_split(
    recordings: Sequence[Recording], test_subjects: Collection[str], validation_count: int, seed: int
) -> Split:
    """Test on the people a data set's protocol names; validation people are drawn from the others.

    Raises:
        DataError: a test subject has no recordings, or nobody would be left to train on.
    """
    known = _distinct({r.subject for r in recordings})
    test = _distinct(test_subjects)
    _check_known(test, known)
    return with_validation(Split(tuple(s for s in known if s not in test), (), test), validation_count, seed)


def k_fold_by_subject(subjects: Collection[str], k: int, seed: int) -> tuple[Split, ...]:
    """Return ``k`` splits whose test groups are disjoint, together hold everybody, and differ by one at most.

    Raises:
        DataError: fewer than two folds, or more folds than people.
    """
    people = _distinct(subjects)
    if not 2 <= k <= len(people):
        raise DataError(f"{k} folds over {len(people)} subjects: expected 2 to {len(people)} folds")
    drawn = _drawn_order(people, seed)
    groups = [set(drawn[fold::k]) for fold in range(k)]
    return tuple(Split(tuple(s for s in people if s not in test), (), tuple(test)) for test in groups)


def leave_one_subject_out(subjects: Collection[str]) -> tuple[Split, ...]:
    """Return one split a person, in numeric order, with that person as the test group.

    Raises:
        DataError: fewer than two people.
    """
    people = _distinct(subjects)
    if len(people) < 2:
        raise DataError(f"leave-one-subject-out over {len(people)} subjects: expected at least 2")
    return tuple(Split(tuple(s for s in people if s != test), (), (test,)) for test in people)


def select(recordings: Sequence[Recording], subjects: Collection[str]) -> tuple[Recording, ...]:
    """Return the recordings of ``subjects``, in the order they came.

    Raises:
        DataError: one of the subjects has no recordings.
    """
    wanted = set(_distinct(subjects))
    _check_known(wanted, _distinct({r.subject for r in recordings}))
    return tuple(r for r in recordings if r.subject in wanted)
