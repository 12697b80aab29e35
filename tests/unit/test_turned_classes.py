"""Turned and reversed groups: real rotations, physics of reversed time, and classes of their own."""

import numpy as np
import torch

from edgehar.recording import IMU_CHANNELS
from edgehar.training.augment import Changes, rotations
from edgehar.training.batch_makers import Draw
from edgehar.training.turned_classes import QUARTER_TURNS, turn_groups

CLASSES = 3


def turned(seed, share=1.0):
    """Windows before and after, truth before and after; the samples' time runs through three windows of each class."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(70, 6)).astype(np.float32)
    truth = torch.tensor([[0, 1, 0]] * 2 + [[2, 0, 2]] * 2 + [[1, 0, 1]] * 2)
    draw = Draw(np.arange(6)[:, None] * 10 + np.arange(10), None, Changes((), None, None, [3, 4, 5]))
    after, changed = turn_groups(draw, truth, group=2, share=share, classes=CLASSES, channels=IMU_CHANNELS, rng=rng)
    windows = samples[after.index]
    after.changes.apply(windows)
    return samples[draw.index], truth.numpy(), windows, changed.numpy()


def test_there_are_24_different_rotations():
    assert len({tuple(m.ravel().tolist()) for m in QUARTER_TURNS}) == 24
    assert np.array_equal(QUARTER_TURNS[0], np.eye(3))
    assert all(np.array_equal(m @ m.T, np.eye(3)) and np.linalg.det(m) > 0.99 for m in QUARTER_TURNS)


def test_a_group_becomes_one_other_class_that_the_heads_do_not_know():
    seen = set()
    for seed in range(40):
        _, truth, _, changed = turned(seed)
        groups = changed[:, -1].reshape(3, 2)
        assert (groups[:, 0] == groups[:, 1]).all()
        assert (groups % CLASSES == truth[:, -1].reshape(3, 2) % CLASSES).all()
        assert groups.min() >= CLASSES
        assert groups.max() < 48 * CLASSES
        assert (changed[:, :-1] == -1).all()
        seen |= set(groups.ravel().tolist())
    assert len(seen) > 60


def test_lengths_stay_and_the_class_says_what_was_done():
    for seed in range(10):
        before, _, after, changed = turned(seed)
        for rows in (slice(0, 2), slice(2, 4), slice(4, 6)):
            turn, backwards = divmod(int(changed[rows][0, -1]) // CLASSES, 2)
            for sensor, sign in ((slice(0, 3), 1), (slice(3, 6), -1 if backwards else 1)):
                expected = before[rows][..., sensor] @ QUARTER_TURNS[turn] * sign
                expected = expected[:, ::-1] if backwards else expected
                assert np.array_equal(after[rows][..., sensor], expected)


def test_a_share_of_none_changes_nothing_and_the_input_stays():
    windows, truth, after, changed = turned(0, share=0.0)
    assert np.array_equal(windows, after)
    assert np.array_equal(truth, changed)
    windows, truth, _, changed = turned(0)
    assert truth.max() < CLASSES <= changed.max()


def test_turns_come_after_the_drawn_rotation_and_the_pace_is_reversed_too():
    rng = np.random.default_rng(4)
    samples, index = rng.normal(size=(30, 6)).astype(np.float32), np.tile(np.arange(10), (2, 1))
    matrices, weight = rotations(2, 30, rng), rng.random((2, 10, 1)).astype(np.float32)
    draw = Draw(index, weight, Changes((([(0, 1, 2), (3, 4, 5)], matrices),), None, None, [3, 4, 5]))
    truth = torch.zeros((2, 2), dtype=torch.int64)
    after, changed = turn_groups(draw, truth, group=2, share=1, classes=1, channels=IMU_CHANNELS, rng=rng)
    turn, backwards = divmod(int(changed[0, -1]), 2)
    order = slice(None, None, -1 if backwards else 1)
    assert np.array_equal(after.weight, weight[:, order])
    assert np.array_equal(after.index, index[:, order])
    raw, expected = samples[after.index], samples[index[:, order]]
    after.changes.apply(raw)
    assert np.allclose(raw[..., :3], expected[..., :3] @ matrices @ QUARTER_TURNS[turn], atol=1e-5)
    sign = -1 if backwards else 1
    assert np.allclose(raw[..., 3:], expected[..., 3:] @ matrices @ QUARTER_TURNS[turn] * sign, atol=1e-5)
