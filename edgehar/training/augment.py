"""Random changes to raw windows: another way to wear the device, another gain, another pace. numpy, vectorised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.recording import Channel
from edgehar.training.config import Augmentation

F32 = NDArray[np.float32]


def triads(channels: tuple[Channel, ...]) -> dict[str, list[tuple[int, int, int]]]:
    """Return, device by device, the column triples of its sensors that have x, y and z: one rotation turns them all."""
    by_sensor: dict[tuple[str, str], dict[str, int]] = {}
    for i, channel in enumerate(channels):
        by_sensor.setdefault((channel.device, channel.sensor), {})[channel.axis] = i
    found: dict[str, list[tuple[int, int, int]]] = {}
    for (device, _), axes in by_sensor.items():
        if {"x", "y", "z"} <= set(axes):
            found.setdefault(device, []).append((axes["x"], axes["y"], axes["z"]))
    return found


def rotations(count: int, largest_deg: float, rng: np.random.Generator) -> F32:
    """Return ``[count, 3, 3]`` rotations about random axes by up to ``largest_deg``.

    Source: Rodrigues' rotation formula, ``R = I + sin(a) K + (1 - cos(a)) K²``.
    """
    axis = rng.normal(size=(count, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = np.radians(rng.uniform(-largest_deg, largest_deg, count))[:, None, None]
    x, y, z = axis.T
    zero = np.zeros(count)
    k = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(count, 3, 3)
    matrices: F32 = (np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)).astype(np.float32)
    return matrices


@dataclass(frozen=True, eq=False)
class Changes:
    """What was drawn for N windows; arrays are numpy's, or torch's on an accelerator.

    Attributes:
        turns: column triples of a device's sensors and the rotation ``[N, 3, 3]`` they all get, device by device.
        gain: ``[N, 1, 1]`` factor on every channel; None where there is none.
        kept: ``[N, 1, 1]``, False where a window loses its gyro; None where none does.
        gyro: the gyro's columns.
    """

    turns: tuple[tuple[list[tuple[int, int, int]], Any], ...]
    gain: Any
    kept: Any
    gyro: list[int]

    def convert(self, convert: Callable[[NDArray[Any]], Any]) -> Changes:
        """Return a copy whose arrays went through ``convert``."""
        turns = tuple((triads, convert(matrices)) for triads, matrices in self.turns)
        gain, kept = (None if each is None else convert(each) for each in (self.gain, self.kept))
        return Changes(turns, gain, kept, self.gyro)

    def apply(self, windows: Any) -> None:
        """Change raw windows ``[N, T, C]`` in place."""
        for worn_together, matrices in self.turns:
            for triad in worn_together:
                windows[..., triad] = windows[..., triad] @ matrices
        if self.gain is not None:
            windows *= self.gain
        if self.kept is not None:
            windows[..., self.gyro] *= self.kept


def draw_changes(
    count: int, channels: tuple[Channel, ...], settings: Augmentation, rng: np.random.Generator
) -> Changes:
    """Draw what happens to ``count`` windows."""
    turns: tuple[tuple[list[tuple[int, int, int]], F32], ...] = ()
    if settings.rotation_deg:
        together = triads(channels).values()
        turns = tuple((worn, rotations(count, settings.rotation_deg, rng)) for worn in together)
    gain = kept = None
    if settings.scale:
        gain = rng.uniform(1 - settings.scale, 1 + settings.scale, (count, 1, 1)).astype(np.float32)
    gyro = [i for i, c in enumerate(channels) if c.quantity == "gyro"]
    if settings.sensor_dropout and gyro:
        kept = rng.random((count, 1, 1)) >= settings.sensor_dropout
    return Changes(turns, gain, kept, gyro)


def augment(windows: F32, channels: tuple[Channel, ...], settings: Augmentation, rng: np.random.Generator) -> F32:
    """Return changed copies of raw windows ``[N, T, C]``, in the same units."""
    out = np.array(windows, np.float32)
    draw_changes(len(out), channels, settings, rng).apply(out)
    return out
