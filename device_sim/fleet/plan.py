"""Which device streams which stretch of which recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgehar.recording import Recording

T = TypeVar("T", np.float32, np.int16)


class DevicePlan(NamedTuple):
    """What one device of a fleet sees.

    Attributes:
        device: its number.
        recording: index of its recording.
        offset: sample of the recording that comes first; after the last one comes sample 0.
        samples: how many it sees.
        seed: of whatever chance does to this device.
    """

    device: int
    recording: int
    offset: int
    samples: int
    seed: int


def plan_devices(
    recordings: Sequence[Recording], devices: int, *, seconds: float | None = None, seed: int = 0
) -> list[DevicePlan]:
    """Return the plan of devices 0 to ``devices - 1``; a device has the same plan in fleets of every size.

    Device i gets recording i, beginning again with the first after the last. Whoever is first at a recording starts
    at its sample 0, so that a fleet as large as the set of recordings is ``edgehar simulate``; the others start
    anywhere.

    Args:
        recordings: at least one.
        devices: at least one.
        seconds: that each device streams, going around its recording; None: once around.
        seed: of offsets and of the devices' own seeds.

    Raises:
        ValueError: there are no devices or recordings, or nothing to stream.
    """
    if not recordings or devices < 1 or (seconds is not None and not 0 < seconds < float("inf")):
        raise ValueError(f"{len(recordings)} recordings, {devices} devices, {seconds} s: expected at least one of each")
    plans = []
    for device in range(devices):
        index = device % len(recordings)
        recording = recordings[index]
        drawn, own_seed = np.random.SeedSequence((seed, device)).generate_state(2).tolist()
        offset = drawn % len(recording.samples) if device >= len(recordings) else 0
        samples = len(recording.samples) if seconds is None else max(1, round(seconds * recording.rate_hz))
        plans.append(DevicePlan(device, index, offset, samples, own_seed))
    return plans


def around(values: NDArray[T], plan: DevicePlan) -> Iterator[NDArray[T]]:
    """Yield the stretches of ``values`` ``[T, ...]`` that make up a device's stream."""
    at, left = plan.offset, plan.samples
    while left > 0:
        part = values[at : at + left]
        yield part
        left -= len(part)
        at = 0
