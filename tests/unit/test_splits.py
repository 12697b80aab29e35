from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehar.datasets.splits import (
    Split,
    k_fold_by_subject,
    leave_one_subject_out,
    official_split,
    select,
    sort_subjects,
    with_validation,
)
from edgehar.errors import DataError

PEOPLE = st.sets(st.text("abc0123456789", min_size=1, max_size=4), min_size=2, max_size=30)
SEEDS = st.integers(0, 2**32)


def _recordings(subjects):
    return tuple(SimpleNamespace(subject=s, name=f"{s}_{i}") for i, s in enumerate([*subjects, *subjects]))


def _groups(split):
    return split.train_subjects, split.validation_subjects, split.test_subjects


def _is_partition(split, people):
    return sorted(sum(_groups(split), ())) == sorted(people)


@given(PEOPLE, SEEDS, st.data())
def test_official_split_is_a_partition_that_ignores_order(people, seed, data):
    test = data.draw(st.sets(st.sampled_from(sorted(people)), max_size=len(people) - 1))
    count = data.draw(st.integers(0, len(people) - len(test) - 1))
    split = official_split(_recordings(sorted(people)), test, count, seed)
    assert _is_partition(split, people)
    assert set(split.test_subjects) == test
    assert len(split.validation_subjects) == count
    assert split == official_split(_recordings(sorted(people, reverse=True)), sorted(test), count, seed)


@given(PEOPLE, SEEDS, st.data())
def test_folds_test_everybody_once(people, seed, data):
    k = data.draw(st.integers(2, len(people)))
    splits = k_fold_by_subject(people, k, seed)
    assert len(splits) == k
    assert all(_is_partition(s, people) for s in splits)
    assert sorted(s for split in splits for s in split.test_subjects) == sorted(people)
    sizes = [len(s.test_subjects) for s in splits]
    assert max(sizes) - min(sizes) <= 1
    assert splits == k_fold_by_subject(sorted(people, reverse=True), k, seed)


@given(PEOPLE)
def test_leave_one_out_is_one_fold_a_person(people):
    splits = leave_one_subject_out(people)
    assert [s.test_subjects for s in splits] == [(s,) for s in sort_subjects(people)]
    assert all(_is_partition(s, people) for s in splits)


@given(PEOPLE)
def test_sorting_does_not_depend_on_the_order_given(people):
    assert sort_subjects(people) == sort_subjects(sorted(people, reverse=True))


def test_numbers_sort_as_numbers():
    assert sort_subjects(["10", "2", "user10", "user9", "1", "01", "b"]) == (
        "01",
        "1",
        "2",
        "10",
        "b",
        "user9",
        "user10",
    )


def test_draws_are_pinned():
    # a changed draw changes every published figure: this must fail then
    people = [str(i) for i in range(1, 31)]
    official = official_split(_recordings(people), ("2", "4", "9", "10", "12", "13", "18", "20", "24"), 4, 0)
    assert official.validation_subjects == ("7", "15", "21", "25")
    assert k_fold_by_subject(people, 5, 0)[0].test_subjects == ("4", "5", "12", "15", "17", "19")


def test_another_seed_draws_other_people():
    people = [str(i) for i in range(30)]
    assert len({k_fold_by_subject(people, 5, seed) for seed in range(10)}) == 10


def test_validation_people_join_those_already_there():
    split = with_validation(Split(("1", "2", "3"), ("4",), ("5",)), 2, seed=3)
    assert len(split.train_subjects) == 1
    assert len(split.validation_subjects) == 3
    assert "4" in split.validation_subjects


def test_select_keeps_the_order_of_recordings():
    recordings = _recordings(["3", "1", "2"])
    assert [r.subject for r in select(recordings, {"1", "3"})] == ["3", "1", "3", "1"]
    assert select(recordings, ()) == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Split(("1", "2"), ("2",), ()), "subjects 2 appear more than once"),
        (lambda: Split(("1", "10", "10"), (), ("1",)), "subjects 1, 10 appear more than once"),
        (lambda: select(_recordings("12"), ["3", "10"]), "no recordings of subjects 3, 10; the data hold 1, 2"),
        (lambda: official_split(_recordings("12"), ["7"], 0, 0), "no recordings of subjects 7"),
        (lambda: official_split(_recordings("123"), ["1"], 2, 0), "2 validation subjects asked for, but only 2 train"),
        (lambda: official_split(_recordings("12"), ["1", "2"], 0, 0), "only 0 train"),
        (lambda: k_fold_by_subject(["12345"] * 2, 2, 0), "2 folds over 1 subjects"),
        (lambda: k_fold_by_subject(list("123"), 4, 0), "4 folds over 3 subjects: expected 2 to 3"),
        (lambda: k_fold_by_subject(list("123"), 1, 0), "1 folds over 3 subjects"),
        (lambda: leave_one_subject_out(["1"]), "expected at least 2"),
    ],
)
def test_impossible_splits_are_errors(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_one_text_is_not_a_collection_of_people():
    with pytest.raises(ValueError, match="expected a collection of names"):
        k_fold_by_subject("123", 2, 0)
    with pytest.raises(ValueError, match="0 or more"):
        with_validation(Split(("1", "2"), (), ()), -1, 0)
