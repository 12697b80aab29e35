"""Phone in the pocket and watch on the wrist worn together: 23 people, 223 walks of about ten seconds, 50 Hz.

Each walk is one chair to another and back: seated, standing up, walking, turning, sitting down. The file holds the two
streams as they came: about 102.44 Hz (phone) and 104.28 Hz (watch), m/s², phone stamps in bursts of up to 0.19 s. Here
they become one recording of twelve channels, ``phone_acc_x`` ... ``watch_gyro_z``:

1. A stream's samples are steady in time; its clock is ``first stamp + index / rate`` shifted by the median of what the
   stamps differ from that, since one stamp alone may wait for its burst.
2. Both streams carry stamps of synchronised clocks, so these align them. Starts differ by up to 1.07 s. What is left
   was measured by cross-correlating smoothed angular speed within ±1.5 s (``tools/sp_sw_har.py``): median
   -20 ms, one sample; half of all walks within -60 and 20 ms. A single walk gives no better estimate than the stamps,
   because wrist and pocket do not move alike.
3. Both are interpolated to one 50 Hz grid over the time they share (:class:`edgehar.signal.LinearResampler`). No
   low-pass before it: under 1 % of any channel's power lies above 25 Hz, and a filter would delay every label.
4. The two label tracks agree on 99.5 % of the grid; where they differ a sample is unlabelled.

``sp_sw_har_phone`` and ``sp_sw_har_watch`` are six columns of the same recordings, named as on any single device.

Source: M. Matey-Sanz, S. Casteleyn, C. Granell, "Dataset of inertial measurements of smartphones and smartwatches for
human activity recognition", Data in Brief 51, 2023.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgehar.arrays import DAMAGED_NPZ
from edgehar.datasets.cache import (
    Packed,
    find_in_source_folders,
    pack,
    read_cache,
    source_folders,
    store_cache,
)
from edgehar.datasets.checksums import check_sha256, known_sha256
from edgehar.datasets.dataset import Dataset
from edgehar.errors import DataError
from edgehar.recording import IMU_CHANNELS, UNLABELLED, Channel, Recording
from edgehar.signal import LinearResampler

FILE_NAME = "sp_sw_har.npz"
DEVICES = ("phone", "watch")
NATIVE_RATES_HZ = (102.44, 104.28)  # medians over all streams of (samples - 1) / time between first and last stamp
RATE_HZ = 50.0
STANDARD_GRAVITY_MPS2 = 9.80665
ACTIVITIES = ("seated", "standing_up", "walking", "turning", "sitting_down")
# The authors name none: the first of five groups of people drawn by hash (splits.k_fold_by_subject, seed 7).
TEST_SUBJECTS = ("4", "5", "8", "21", "22")
CHANNELS = tuple(Channel(f"{device}_{c.name}", c.unit, device) for device in DEVICES for c in IMU_CHANNELS)

_REMEDY = f"put the file {FILE_NAME!r}, the re-encoded data set, into a folder and set EDGEHAR_DATA to it"

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I16 = NDArray[np.int16]


def stream_clock(stamps_s: F64, rate_hz: float) -> F64:
    """Return the times ``[N]`` in seconds of steady samples that were stamped ``[N]`` in bursts."""
    steady = np.arange(len(stamps_s)) / rate_hz
    clock: F64 = steady + np.median(stamps_s - steady)
    return clock


def on_grid(t_s: F64, samples: F32, start_s: float, rate_hz: float) -> F32:
    """Return ``samples`` ``[N, C]`` at ``start_s + k / rate_hz``, up to the last of their times ``t_s`` ``[N]``."""
    after = int(np.searchsorted(t_s, start_s, side="right"))
    share = np.float32((start_s - t_s[after - 1]) / (t_s[after] - t_s[after - 1]))
    first = samples[after - 1] + share * (samples[after] - samples[after - 1])
    stamps = np.concatenate([[start_s], t_s[after:]])
    return LinearResampler(rate_hz).push(stamps, np.concatenate([first[None], samples[after:]]))


def align(clocks: tuple[F64, F64], samples: tuple[F32, F32], labels: tuple[I16, I16]) -> tuple[F32, I16]:
    """Return both streams on one 50 Hz grid over the time they share.

    Args:
        clocks: times ``[N]`` of each stream, on one clock.
        samples: ``[N, C]`` of each.
        labels: ``[N]`` of each.

    Returns:
        Samples ``[T, C + C]``, and labels ``[T]``, unlabelled where the two disagree.

    Raises:
        DataError: the streams share no second.
    """
    start, stop = max(t[0] for t in clocks), min(t[-1] for t in clocks)
    if stop - start < 1:
        raise DataError(f"two streams share {max(0.0, stop - start):.2f} s, expected at least 1 s of the same walk")
    columns = [on_grid(t, x, start, RATE_HZ) for t, x in zip(clocks, samples, strict=True)]
    count = min(map(len, columns))
    grid = start + np.arange(count) / RATE_HZ
    tracks = [y[np.searchsorted(t, grid + 1e-9, side="right") - 1] for t, y in zip(clocks, labels, strict=True)]
    agreed = np.where(tracks[0] == tracks[1], tracks[0], UNLABELLED).astype(np.int16)
    return np.concatenate([x[:count] for x in columns], axis=1), agreed


def decode(path: Path) -> Packed:
    """Return the aligned recordings of a file in the layout of ``sp_sw_har.npz``.

    The file has ``x`` ``[6, N]``, ``t_ms`` and ``label`` ``[N]`` of all streams one after the other, stream i from
    ``start[i]`` to ``start[i + 1]``, phone and watch of a walk in turn; ``t0_ms``, ``subject``, ``execution`` and
    ``device`` of each stream.

    Raises:
        DataError: it has another layout.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as z:
            x, t_ms, label, start = z["x"], z["t_ms"], z["label"].astype(np.int16), z["start"]
            t0_ms, subject, execution, device = z["t0_ms"], z["subject"], z["execution"], z["device"]
        gain = np.repeat(np.array([1 / STANDARD_GRAVITY_MPS2, 1], np.float32), 3)
        if device.tolist() != [0, 1] * (len(device) // 2) or (subject[::2] != subject[1::2]).any():
            raise ValueError("streams are not phone and watch of the same person in turn")
        parts = []
        for walk in range(0, len(device), 2):
            cuts = [slice(start[i], start[i + 1]) for i in (walk, walk + 1)]
            stamps = [(t_ms[cut] + float(t0_ms[walk + i] - t0_ms[walk])) / 1000 for i, cut in enumerate(cuts)]
            clocks = stream_clock(stamps[0], NATIVE_RATES_HZ[0]), stream_clock(stamps[1], NATIVE_RATES_HZ[1])
            samples = x[:, cuts[0]].T * gain, x[:, cuts[1]].T * gain
            name = f"user{subject[walk]:02d}_walk{execution[walk]:02d}"
            parts.append((name, str(subject[walk]), *align(clocks, samples, (label[cuts[0]], label[cuts[1]]))))
        return pack(parts)
    except (*DAMAGED_NPZ, IndexError) as error:
        raise DataError(f"{path}: not laid out as {FILE_NAME} ({type(error).__name__}: {error}); {_REMEDY}") from error


def find_source() -> Path | None:
    """Return the copy to read: in the folder ``EDGEHAR_DATA`` first, then in the cache folder."""
    return find_in_source_folders((FILE_NAME,))


def ready() -> bool:
    """Return whether the file, or its decoded copy, is on this machine."""
    return read_cache("sp_sw_har", _cache_key()) is not None or find_source() is not None


def _cache_key() -> str:
    return known_sha256(FILE_NAME)[:16]


def _packed_from(path: Path) -> Packed:
    check_sha256(path, known_sha256(FILE_NAME), _REMEDY)
    packed = decode(path)
    store_cache("sp_sw_har", _cache_key(), packed)
    return packed


def _packed() -> Packed:
    packed = read_cache("sp_sw_har", _cache_key())
    if packed is not None:
        return packed
    source = find_source()
    if source is None:
        folders = " or ".join(str(folder) for folder in source_folders())
        raise DataError(f"the data set 'sp_sw_har' is not in {folders}; {_REMEDY}")
    return _packed_from(source)


def _both(packed: Packed) -> tuple[Recording, ...]:
    return packed.recordings(CHANNELS, RATE_HZ, ACTIVITIES, _CITATION, _LICENCE)


def _columns(packed: Packed, first: int) -> tuple[Recording, ...]:
    stop = first + len(IMU_CHANNELS)
    return tuple(
        replace(r, channels=IMU_CHANNELS, samples=np.ascontiguousarray(r.samples[:, first:stop])) for r in _both(packed)
    )


def _phone(packed: Packed) -> tuple[Recording, ...]:
    return _columns(packed, 0)


def _watch(packed: Packed) -> tuple[Recording, ...]:
    return _columns(packed, len(IMU_CHANNELS))


_LICENCE = "CC BY 4.0"
_CITATION = (
    "Matey-Sanz et al., Dataset of inertial measurements of smartphones and smartwatches for human activity "
    "recognition, Data in Brief 2023"
)


def _dataset(
    name: str, worn: str, channels: tuple[Channel, ...], recordings: Callable[[Packed], tuple[Recording, ...]]
) -> Dataset:
    return Dataset(
        name=name,
        title=f"Walks between two chairs, {worn}",
        label_names=ACTIVITIES,
        channels=channels,
        rate_hz=RATE_HZ,
        licence=_LICENCE,
        citation=_CITATION,
        test_subjects=TEST_SUBJECTS,
        task_labels=ACTIVITIES,
        load=lambda: recordings(_packed()),
        use=lambda path: recordings(_packed_from(path)),
        find_source=find_source,
        ready=ready,
    )


SP_SW_HAR = _dataset("sp_sw_har", "phone and watch", CHANNELS, _both)
SP_SW_HAR_PHONE = _dataset("sp_sw_har_phone", "the phone alone", IMU_CHANNELS, _phone)
SP_SW_HAR_WATCH = _dataset("sp_sw_har_watch", "the watch alone", IMU_CHANNELS, _watch)
