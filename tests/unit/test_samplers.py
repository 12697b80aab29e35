"""Batches of N classes × M samples: what is in them, and that rare classes come up as often as common ones."""

import numpy as np
import pytest

from edgehar.errors import ConfigError
from edgehar.training.samplers import ClassBatches, RandomBatches

CLASSES = np.array([0] * 50 + [1] * 7 + [2] * 20 + [-1] * 9 + [3] * 3)


def batches(groups, samples, seed=0):
    sampler = ClassBatches(CLASSES, groups, samples)
    found = list(sampler.epoch(np.random.default_rng(seed)))
    assert len(found) == len(sampler)
    return found


def test_a_batch_has_groups_of_one_class_each():
    for batch in batches(3, 4):
        groups = CLASSES[batch].reshape(3, 4)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0].tolist())) == 3
        assert groups.min() >= 0


def test_more_groups_than_classes_repeat_them():
    for batch in batches(6, 2):
        counts = np.bincount(CLASSES[batch].reshape(6, 2)[:, 0], minlength=4)
        assert sorted(counts.tolist()) == [1, 1, 2, 2]


def test_no_member_comes_twice_before_all_have_come():
    sampler = ClassBatches(CLASSES, 2, 10)
    dealt = np.concatenate(list(sampler.epoch(np.random.default_rng(3))))
    common = dealt[CLASSES[dealt] == 0]
    assert len(set(common[:50].tolist())) == len(common[:50])


def test_the_same_seed_gives_the_same_batches():
    assert all(np.array_equal(a, b) for a, b in zip(batches(3, 4, 5), batches(3, 4, 5), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(batches(3, 4, 5), batches(3, 4, 6), strict=True))


def test_one_class_is_refused():
    with pytest.raises(ConfigError, match="at least two classes, the training windows have 1"):
        ClassBatches(np.array([0, 0, -1]), 2, 2)


def test_random_batches_take_each_member_at_most_once():
    sampler = RandomBatches(103, 10)
    dealt = np.concatenate(list(sampler.epoch(np.random.default_rng(0))))
    assert len(sampler) == 10
    assert len(set(dealt.tolist())) == len(dealt) == 100
