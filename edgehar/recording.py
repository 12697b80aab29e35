"""One continuous stretch of sensor samples from one person, with its labels. numpy only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError

UNLABELLED = -1


@dataclass(frozen=True)
class Channel:
    """One column of a sample: ``acc_x`` in ``g``, ``gyro_z`` in ``rad/s``; of several devices ``watch_gyro_z``."""

    name: str  # [device_]quantity_axis
    unit: str  # g, rad/s
    frame: str = "device"  # whose axes: the device's own

    @property
    def sensor(self) -> str:
        """``acc`` of ``acc_x``, ``watch_gyro`` of ``watch_gyro_z``."""
        return self.name.rpartition("_")[0]

    @property
    def device(self) -> str:
        """``watch`` of ``watch_gyro_z``, empty where only one device is worn."""
        return self.sensor.rpartition("_")[0]

    @property
    def quantity(self) -> str:
        """``gyro`` of ``watch_gyro_z``: what is measured, whichever device it is on."""
        return self.sensor.rpartition("_")[2]

    @property
    def axis(self) -> str:
        """``x`` of ``acc_x``."""
        return self.name.rpartition("_")[2]


IMU_CHANNELS = (
    *(Channel(f"acc_{axis}", "g") for axis in "xyz"),
    *(Channel(f"gyro_{axis}", "rad/s") for axis in "xyz"),
)


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples of one person, steady in time.

    Attributes:
        name: unique within its data set, e.g. ``user01_exp02``.
        subject: who wore the device; splits are made by it.
        rate_hz: samples a second.
        channels: meaning of each column.
        samples: ``[T, C]`` float32, finite.
        labels: ``[T]`` int16 index into ``label_names``, ``UNLABELLED`` (-1) where nobody said; or None.
        label_names: the activities, in the order of their indices.
        source: where it came from (name, version, citation).
        licence: under which terms.
    """

    name: str
    subject: str
    rate_hz: float
    channels: tuple[Channel, ...]
    samples: NDArray[np.float32]
    labels: NDArray[np.int16] | None
    label_names: tuple[str, ...]
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        where = f"recording {self.name!r}"
        if self.samples.ndim != 2 or self.samples.shape[1] != len(self.channels):
            raise DataError(
                f"{where}: samples have shape {self.samples.shape}, expected [T, {len(self.channels)}] for the "
                f"channels {', '.join(c.name for c in self.channels)}"
            )
        if len(self.samples) == 0:
            raise DataError(f"{where}: it holds no samples; check that the source file has rows of data")
        if self.samples.dtype != np.float32:
            raise DataError(f"{where}: samples are {self.samples.dtype}, expected float32")
        if not np.isfinite(self.rate_hz) or self.rate_hz <= 0:
            raise DataError(f"{where}: rate_hz is {self.rate_hz}, expected a positive number")
        bad = ~np.isfinite(self.samples)
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise DataError(
                f"{where}: {int(bad.sum())} values are NaN or infinite, the first in row {row}, channel "
                f"{self.channels[column].name!r}; interpolate or cut these rows before use"
            )
        if self.labels is not None:
            self._check_labels(where)

    def _check_labels(self, where: str) -> None:
        assert self.labels is not None
        if self.labels.shape != (len(self.samples),):
            raise DataError(
                f"{where}: {self.labels.shape} labels for {len(self.samples)} samples, expected one a sample"
            )
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < UNLABELLED or high >= len(self.label_names):
            raise DataError(
                f"{where}: label indices run from {low} to {high}, expected -1 (unlabelled) to "
                f"{len(self.label_names) - 1} for {len(self.label_names)} label names"
            )

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz

    def cut(self, start: int, stop: int) -> Recording:
        """Return samples ``start`` to ``stop`` as a recording of its own (a view, no copy)."""
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, samples=self.samples[start:stop], labels=labels)


def recordings_sha256(recordings: Iterable[Recording]) -> str:
    """Return 64 hex digits that change with any sample, label, name, channel or rate: whether two sets are the same.

    Where they came from and their licence are not part of it.
    """
    digest = hashlib.sha256()
    for each in recordings:
        channels = [asdict(channel) for channel in each.channels]
        labelled = each.labels is not None
        said = [each.name, each.subject, each.rate_hz, channels, each.samples.shape, labelled, each.label_names]
        digest.update(json.dumps(said).encode())
        digest.update(np.ascontiguousarray(each.samples, "<f4").data)
        if each.labels is not None:
            digest.update(np.ascontiguousarray(each.labels, "<i2").data)
    return digest.hexdigest()
