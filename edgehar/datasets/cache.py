"""Decoded recordings on disk: one uncompressed ``.npz`` a data set, read back in a fraction of a second.

The folder is ``EDGEHAR_CACHE``, else ``$XDG_CACHE_HOME/edgehar``, else ``~/.cache/edgehar``. The cache is never
trusted to be there: a missing or damaged file is decoded again, a folder that cannot be written means no cache.
"""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgehar.arrays import DAMAGED_NPZ
from edgehar.errors import DataError
from edgehar.files import write_atomic
from edgehar.recording import Channel, Recording

FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False)
class Packed:
    """All recordings of a data set, one after the other.

    Attributes:
        names, subjects: ``[R]`` text.
        lengths: ``[R]`` int64 samples of each recording.
        samples: ``[T, C]`` float32, C-contiguous.
        labels: ``[T]`` int16.
    """

    names: NDArray[np.str_]
    subjects: NDArray[np.str_]
    lengths: NDArray[np.int64]
    samples: NDArray[np.float32]
    labels: NDArray[np.int16]

    def __post_init__(self) -> None:
        recordings, total = len(self.lengths), len(self.samples)
        if (
            self.names.shape != (recordings,)
            or self.subjects.shape != (recordings,)
            or self.samples.ndim != 2
            or self.labels.shape != (total,)
            or int(self.lengths.sum()) != total
            or (self.names.dtype.kind, self.subjects.dtype.kind) != ("U", "U")
            or [a.dtype.str for a in (self.lengths, self.samples, self.labels)] != ["<i8", "<f4", "<i2"]
        ):
            raise ValueError(
                f"{recordings} lengths for samples {self.samples.shape} {self.samples.dtype} and labels "
                f"{self.labels.shape} {self.labels.dtype}: these do not belong together"
            )

    def recordings(
        self, channels: tuple[Channel, ...], rate_hz: float, label_names: tuple[str, ...], source: str, licence: str
    ) -> tuple[Recording, ...]:
        """Return one :class:`Recording` each, all of them views of ``samples``."""
        stops = np.cumsum(self.lengths)
        return tuple(
            Recording(
                name=str(name),
                subject=str(subject),
                rate_hz=rate_hz,
                channels=channels,
                samples=self.samples[stop - length : stop],
                labels=self.labels[stop - length : stop],
                label_names=label_names,
                source=source,
                licence=licence,
            )
            for name, subject, length, stop in zip(self.names, self.subjects, self.lengths, stops, strict=True)
        )


def pack(parts: Iterable[tuple[str, str, NDArray[np.float32], NDArray[np.int16]]]) -> Packed:
    """Return ``(name, subject, samples [T, C], labels [T])`` of several recordings as one block."""
    names, subjects, samples, labels = zip(*parts, strict=True)
    return Packed(
        names=np.array(names),
        subjects=np.array(subjects),
        lengths=np.array([len(x) for x in samples], np.int64),
        samples=np.concatenate(samples),
        labels=np.concatenate(labels),
    )


def cache_folder() -> Path:
    """Return the folder for decoded and downloaded data; it need not exist.

    Raises:
        DataError: nothing names one and this user has no home folder.
    """
    if named := os.environ.get("EDGEHAR_CACHE"):
        return Path(named).expanduser()
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "edgehar"
    try:
        return Path.home() / ".cache" / "edgehar"
    except RuntimeError as error:
        raise DataError("this user has no home folder; set EDGEHAR_CACHE to a folder for data") from error


def source_folders() -> list[Path]:
    """Return where a user's copy of a data set is looked for: the folder ``EDGEHAR_DATA``, then the cache folder."""
    named = os.environ.get("EDGEHAR_DATA")
    return [*([Path(named).expanduser()] if named else []), cache_folder()]


def find_in_source_folders(names: Sequence[str]) -> Path | None:
    """Return the first of ``names`` that is there, folder by folder."""
    found = (folder / name for folder in source_folders() for name in names)
    return next((path for path in found if path.exists()), None)


def cache_path(name: str, key: str) -> Path:
    """Return the cache file of the data set ``name`` decoded from the source that ``key`` identifies."""
    return cache_folder() / f"{name}-{key}-v{FORMAT_VERSION}.npz"


def read_cache(name: str, key: str) -> Packed | None:
    """Return what was stored, or None where there is nothing usable."""
    try:
        path = cache_path(name, key)
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        with np.load(path, allow_pickle=False) as stored:
            return Packed(**{field: stored[field] for field in Packed.__dataclass_fields__})
    except (*DAMAGED_NPZ, DataError):
        return None


def store_cache(name: str, key: str, packed: Packed) -> bool:
    """Write ``packed`` for the next :func:`read_cache`; return whether that was possible."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **{field: getattr(packed, field) for field in Packed.__dataclass_fields__})
    with contextlib.suppress(OSError, DataError):
        write_atomic(cache_path(name, key), stream.getvalue())
        return True
    return False
