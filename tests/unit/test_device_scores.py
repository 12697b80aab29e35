"""Window scores against hand-made and brute-force values."""

from __future__ import annotations

import numpy as np
import pytest

from device_sim import scores

TRUTH = np.array([0, 0, 1, 1, -1, 2], np.int16)
DECIDED = np.array([0, 1, 1, 1, 2, 1], np.int16)


def test_confusion_accuracy_and_macro_f1():
    counts = scores.confusion(TRUTH, DECIDED, 4)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert scores.accuracy(counts) == pytest.approx(3 / 5)
    # F1: 2/3, 4/6, 0; the fourth class does not occur and does not count
    assert scores.macro_f1(counts) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_nothing_scored_is_none_not_zero():
    counts = scores.confusion(np.array([-1, -1], np.int16), np.array([0, 1], np.int16), 3)
    assert scores.accuracy(counts) is None
    assert scores.macro_f1(counts) is None
    assert scores.agreement(np.array([-1], np.int16), np.array([0], np.int16), np.array([0], np.int16)) is None


def test_agreement_counts_scored_windows_only():
    baseline = np.array([0, 0, 1, 1, 0, 1], np.int16)
    assert scores.agreement(TRUTH, DECIDED, baseline) == pytest.approx(4 / 5)


def test_interval_resamples_subjects():
    assert scores.subject_interval([5], [10]) is None
    assert scores.subject_interval([5, 0], [10, 0]) is None  # the second person has no scored window
    assert scores.subject_interval([5, 5, 5], [10, 10, 10]) == (0.5, 0.5)
    low, high = scores.subject_interval([9, 10, 10, 4], [10, 10, 10, 10])
    assert 0.4 <= low < 33 / 40 < high <= 1.0
    assert (low, high) == scores.subject_interval([9, 10, 10, 4], [10, 10, 10, 10])


def test_interval_agrees_with_a_plain_bootstrap():
    rng = np.random.default_rng(0)
    correct, windows = rng.integers(50, 100, 9), np.full(9, 100)
    plain = [correct[rng.integers(0, 9, 9)].sum() / 900 for _ in range(20_000)]
    assert scores.subject_interval(correct, windows) == pytest.approx(np.percentile(plain, [2.5, 97.5]), abs=0.01)
