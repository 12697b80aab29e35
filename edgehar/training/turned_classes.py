"""More classes out of few: an activity seen by a device that is turned, or backwards in time, counts as another one.

Seven activities teach an embedding to tell seven activities apart and to forget the rest. A quarter turn of the device
makes another posture of a posture, and time backwards another transition of a transition, so triplets of them keep
the embedding sensitive to what tells activities apart that nobody trained on. As with the quarter turns of Omniglot's
characters (Santoro et al., Meta-Learning with Memory-Augmented Neural Networks, 2016).
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.heads import UNKNOWN
from edgehar.recording import Channel
from edgehar.training.augment import Changes, triads
from edgehar.training.batch_makers import Draw

F32 = NDArray[np.float32]


def _quarter_turns() -> F32:
    """The 24 rotations ``[24, 3, 3]`` that map axes onto axes, the identity first."""
    signed = [
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    ]
    return np.array([m for m in signed if np.linalg.det(m) > 0], np.float32)


QUARTER_TURNS = _quarter_turns()


def turn_groups(
    draw: Draw,
    truth: Tensor,
    *,
    group: int,
    share: float,
    classes: int,
    channels: tuple[Channel, ...],
    rng: np.random.Generator,
) -> tuple[Draw, Tensor]:
    """Return a batch's draw and truth in which some groups of windows are turned, reversed, or both.

    Backwards in time the acceleration of a path is the same and its angular velocity has the other sign.

    Args:
        draw: of B windows, groups of one class one after the other.
        truth: ``[B, W]``, the class in the last column; the other columns become unknown in a changed group.
        group: windows of a group.
        share: of the groups that are changed, 0 to 1.
        classes: K of the classes 0..K-1; a changed group's class is one of K to 48 K - 1.
        channels: of the windows; every sensor of a device is turned alike, all devices by the same turn.
        rng: where chance comes from.
    """
    count = len(truth)
    groups = -(-count // group)
    changes = np.where(rng.random(groups) < share, rng.integers(1, 2 * len(QUARTER_TURNS), groups), 0)
    change = np.repeat(changes, group)[:count]
    turn, backwards = QUARTER_TURNS[change // 2], change % 2 == 1
    order = np.where(backwards[:, None], np.arange(draw.index.shape[1])[::-1], np.arange(draw.index.shape[1]))
    turned = replace(
        draw,
        index=np.take_along_axis(draw.index, order, axis=1),
        weight=None if draw.weight is None else np.take_along_axis(draw.weight, order[..., None], axis=1),
        changes=_turned(draw.changes, turn, backwards, channels),
    )
    step = torch.from_numpy(change).to(truth.device)
    answers = truth.clone()
    answers[step > 0, :-1] = UNKNOWN
    answers[:, -1] += classes * step
    return turned, answers


def _turned(changes: Changes, turn: F32, backwards: NDArray[np.bool_], channels: tuple[Channel, ...]) -> Changes:
    """Changes whose rotations are followed by a quarter turn, the gyro's by a change of sign where time runs back."""
    drawn = changes.turns or tuple((worn, np.eye(3, dtype=np.float32)) for worn in triads(channels).values())
    sign = np.where(backwards, np.float32(-1), np.float32(1))[:, None, None]
    turns = []
    for worn_together, matrices in drawn:
        both = matrices @ turn
        gyro = [triad for triad in worn_together if channels[triad[0]].quantity == "gyro"]
        others = [triad for triad in worn_together if triad not in gyro]
        turns += [(others, both), (gyro, both * sign)]
    return replace(changes, turns=tuple(turns))
