"""Heads: a window's truth, answers and scores, against values worked out by hand."""

import numpy as np
import pytest

from edgehar.errors import DataError
from edgehar.heads import Task, check_names, decide, label_sources, sample_truth, score_head, share_alike, window_truth

NAMES = ("walk", "climb", "sit", "sit_down")
MOTION = Task("motion", "binary", ("moving",), {"moving": ("walk", "climb"), "not_moving": ("sit",)})
LABELS = np.int16([0, 0, 1, 1, 2, 2, 3, -1])


def test_samples_get_their_truth_by_group():
    assert sample_truth(MOTION, LABELS, NAMES)[:, 0].tolist() == [1, 1, 1, 1, 0, 0, -1, -1]
    change = Task("change", "binary", ("changing",), {"changing": ("sit_down",)})
    assert sample_truth(change, LABELS, NAMES)[:, 0].tolist() == [0, 0, 0, 0, 0, 0, 1, -1]
    activity = Task("activity", "multiclass", ("sit", "up"), {"up": ("walk", "climb")})
    assert sample_truth(activity, LABELS, NAMES)[:, 0].tolist() == [1, 1, 1, 1, 0, 0, -1, -1]
    several = Task("several", "multilabel", ("walk", "legs"), {"legs": ("walk", "climb"), "not_walk": ("sit",)})
    assert sample_truth(several, LABELS, NAMES).tolist() == [
        [1, 1], [1, 1], [-1, 1], [-1, 1], [0, 0], [0, 0], [-1, 0], [-1, -1],
    ]  # fmt: skip


def test_a_window_has_a_truth_when_enough_samples_agree():
    pure = window_truth(MOTION, LABELS, NAMES, window=4, hop=1)[:, 0]
    assert pure.tolist() == [1, -1, -1, -1, -1]
    half = Task("motion", "binary", ("moving",), MOTION.groups, purity=0.5)
    # 1110 at start 1; 1100: yes before no; 100-: no at exactly half; 00--: the same
    assert window_truth(half, LABELS, NAMES, 4, 1)[:, 0].tolist() == [1, 1, 1, 0, 0]
    three_quarters = Task("motion", "binary", ("moving",), MOTION.groups, purity=0.75)
    assert window_truth(three_quarters, LABELS, NAMES, 4, 1)[:, 0].tolist() == [1, 1, -1, -1, -1]
    seven_of_ten = Task("a", "multiclass", ("walk", "sit"), purity=0.7)
    labels = np.int16([0] * 7 + [2] * 3)
    assert window_truth(seven_of_ten, labels, NAMES, 10, 10).tolist() == [[0]]


def test_multiclass_ties_go_to_the_first_class():
    task = Task("a", "multiclass", ("sit", "walk"), purity=0.5)
    assert window_truth(task, np.int16([0, 0, 2, 2]), NAMES, 4, 4).tolist() == [[0]]


def test_answers():
    assert decide("multiclass", np.int8([[3, 9, 9]])).tolist() == [[1]]
    assert decide("multilabel", np.int8([[-5, -4, 7]]), zero=-4).tolist() == [[0, 1, 1]]
    assert decide("binary", np.float32([[-0.0], [-1e-9]])).tolist() == [[1], [0]]


def test_scores_by_hand():
    binary = Task("m", "binary", ("yes",))
    truth, decided = np.int16([[1], [1], [0], [0], [0], [-1]]), np.int16([[1], [0], [0], [0], [1], [1]])
    scores = score_head(binary, truth, decided)
    assert (scores.windows, scores.accuracy) == (5, 3 / 5)
    (label,) = scores.labels
    assert (label.windows, label.positives, label.precision, label.recall, label.f1) == (5, 2, 0.5, 0.5, 0.5)
    assert label.balanced_accuracy == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scores.macro_f1 == pytest.approx((1 / 2 + 2 / 3) / 2)  # F1 of no: 2*2 / (3 + 3)
    assert share_alike(truth, decided, truth) == 3 / 5

    several = Task("s", "multilabel", ("a", "b", "c"))
    truth = np.int16([[1, -1, 0], [0, -1, -1], [-1, -1, -1]])
    decided = np.int16([[1, 1, 1], [1, 0, 0], [0, 0, 0]])
    scores = score_head(several, truth, decided)
    assert (scores.windows, scores.accuracy) == (2, 1 / 3)
    assert [(x.windows, x.positives, x.f1) for x in scores.labels] == [(2, 1, 2 / 3), (0, 0, None), (1, 0, 0.0)]
    assert scores.macro_f1 == 2 / 3  # b was never known, c never true

    classes = Task("a", "multiclass", ("a", "b", "c"))
    scores = score_head(classes, np.int16([[0], [0], [1], [-1]]), np.int16([[0], [2], [1], [1]]))
    assert scores.accuracy == 2 / 3
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1) / 2)
    nothing = score_head(classes, np.int16([[-1]]), np.int16([[0]]))
    assert (nothing.windows, nothing.accuracy, nothing.macro_f1) == (0, None, None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("a b", "binary", ("x",)), "the name becomes an output's"),
        (("a", "regression", ("x",)), "kind is 'regression', expected multiclass, binary, multilabel"),
        (("a", "binary", ("x", "y")), "the one that means yes"),
        (("a", "multiclass", ("x",)), "at least two"),
        (("a", "multilabel", ("x", "x")), "expected different ones"),
        (("a", "binary", ("x",), {"y": ("walk",)}), "group 'y' of .*expected names under x, not_x"),
        (("a", "binary", ("x",), {"x": ("walk",), "not_x": ("walk",)}), "'walk' stands under two of x, not_x"),
        (("a", "multiclass", ("x", "y"), {"x": ("y",)}), "'y' stands under two of x, y"),
        (("a", "binary", ("x",), {}, 0.4), "purity is 0.4, expected 0.5 to 1"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Task(*fields)


def test_labels_that_the_data_do_not_have_are_named():
    assert label_sources([MOTION, Task("a", "multiclass", ("sit", "run"))]) == ("walk", "climb", "sit", "run")
    check_names([MOTION], NAMES, "recording 'r'")
    with pytest.raises(DataError, match="label 'run' is not in the data; recording 'r' has walk, climb"):
        check_names([Task("a", "multiclass", ("sit", "run"))], NAMES, "recording 'r'")
