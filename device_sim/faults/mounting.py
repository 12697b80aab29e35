"""The device is worn otherwise, or its axes are wired otherwise: one 3x3 matrix on every sensor's x, y, z."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator


class Mounting:
    """Multiplies the x, y, z of every sensor with a matrix; a channel without all three stays as it is.

    Args:
        matrix: ``[3, 3]``.
        setting: says which columns belong together.
    """

    def __init__(self, matrix: NDArray[np.float64], setting: Setting) -> None:
        self._matrix = matrix.astype(np.float32)
        self._triplets = setting.triplets()
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on."""
        samples = taken.samples.copy()
        m = self._matrix
        for columns in self._triplets:
            x, y, z = taken.samples[:, columns].T
            for row, column in enumerate(columns):  # a product of matrices may add in an order that chunks change
                samples[:, column] = m[row, 0] * x + m[row, 1] * y + m[row, 2] * z
        self.touched += len(taken)
        return taken.measuring(samples)


def rotation(severity: float, setting: Setting, rng: Generator) -> Mounting:
    """Turn the device by ``severity`` degrees about an axis that is random for each recording."""
    axis = rng.standard_normal(3)
    return Mounting(_turn(axis / np.linalg.norm(axis), severity), setting)


def turn(severity: float, setting: Setting, rng: Generator) -> Mounting:
    """Turn it about its own z axis, the one through its face: at 180 degrees it is worn upside down."""
    return Mounting(_turn(np.array([0.0, 0.0, 1.0]), severity), setting)


def swap(severity: float, setting: Setting, rng: Generator) -> Mounting:
    """Exchange two axes, random for each recording (1), or all three in a circle (2)."""
    axes = np.eye(3)
    if severity >= 2:
        return Mounting(np.roll(axes, int(rng.integers(1, 3)), axis=0), setting)
    left, right = rng.choice(3, 2, replace=False)
    axes[[left, right]] = axes[[right, left]]
    return Mounting(axes, setting)


def flip(severity: float, setting: Setting, rng: Generator) -> Mounting:
    """Change the sign of ``severity`` axes, random for each recording."""
    signs = np.ones(3)
    signs[rng.choice(3, int(severity), replace=False)] = -1
    return Mounting(np.diag(signs), setting)


def _turn(axis: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Rotation matrix; of a right angle about an axis of the device exactly 0, 1 and -1.

    Source: Rodrigues' formula, R = cos I + sin [k]x + (1 - cos) k k'.
    """
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix: NDArray[np.float64] = cosine * np.eye(3) + sine * cross + (1 - cosine) * np.outer(axis, axis)
    return np.where(np.abs(matrix) < 1e-12, 0.0, matrix)
