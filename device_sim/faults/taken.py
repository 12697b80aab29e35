"""Samples on their way from a person's movement to the device, with what only the simulator knows about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.recording import Channel

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

# how much 1 g or 1 rad/s is in other units
UNITS = {"m/s^2": 9.80665, "m/s2": 9.80665, "deg/s": 180 / np.pi, "dps": 180 / np.pi}


@dataclass(frozen=True)
class Setting:
    """What a fault knows of the stream it works on.

    Attributes:
        rate_hz: at which the samples were recorded.
        channels: of a sample.
    """

    rate_hz: float
    channels: tuple[Channel, ...]

    def triplets(self) -> list[list[int]]:
        """Columns x, y, z of each sensor that has all three."""
        sensors = dict.fromkeys(channel.sensor for channel in self.channels)
        axes = [{c.axis: i for i, c in enumerate(self.channels) if c.sensor == sensor} for sensor in sensors]
        return [[found[axis] for axis in "xyz"] for found in axes if set("xyz") <= set(found)]

    def each(self, acc: float = 0.0, gyro: float = 0.0) -> NDArray[np.float64]:
        """Return ``[C]``: ``acc`` (in g) or ``gyro`` (in rad/s) in the channel's own unit, 0 for other channels."""
        values = {"acc": acc, "gyro": gyro}
        return np.array([values.get(c.quantity, 0.0) * UNITS.get(c.unit, 1.0) for c in self.channels])


@dataclass(frozen=True, eq=False)
class Taken:
    """Consecutive samples in the order in which they arrive.

    Attributes:
        t_us: ``[N]`` int64 stamps, as the device is told.
        samples: ``[N, C]`` float32.
        true_us: ``[N]`` int64 when the recording says that they were taken.
        boot: ``[N]`` int64 how many times the device had started anew before it got them.
    """

    t_us: I64
    samples: F32
    true_us: I64
    boot: I64

    def __len__(self) -> int:
        return len(self.t_us)

    def rows(self, which: NDArray[Any]) -> Taken:
        """Return some of them, by mask or index, in that order."""
        return Taken(self.t_us[which], self.samples[which], self.true_us[which], self.boot[which])

    def measuring(self, samples: NDArray[Any]) -> Taken:
        """Return the same moments with other values."""
        return replace(self, samples=samples.astype(np.float32, copy=False))

    def stamped(self, t_us: NDArray[Any]) -> Taken:
        """Return the same samples with other stamps, rounded to microseconds."""
        return replace(self, t_us=np.rint(t_us).astype(np.int64))


def join(parts: Sequence[Taken]) -> Taken:
    """Return consecutive stretches, at least one, as one."""
    names = ("t_us", "samples", "true_us", "boot")
    return Taken(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
