"""UCI HAR: 30 people, 10,299 windows of 128 samples at 50 Hz with 50 % overlap, six activities.

The archive holds windows, not recordings. Windows that follow each other and share their halves exactly (the second
half of one is the first half of the next) are stitched back into one recording, so the same front end that runs on a
device runs here. Where two windows disagree about their shared half, that half is unlabelled: there is no reason to
believe either. (In the official data they never disagree.) Total acceleration is taken as acc; body acceleration is
left out, because the archive computed it with a filter that looks ahead.

How it is verified. We could not obtain a SHA-256 of the official zip from a second source, so none is recorded here;
``edgehar data fetch uci_har --sha256 HEX`` pins one that you trust. Instead every copy, wherever it comes from, must
have the published number of windows of each activity in each half of the official split, the 21 + 9 people of
that split, and exactly 9,442 pairs of neighbours that agree bit for bit in their 64 x 6 shared values. That last count
reads nearly every value in the archive twice, so a changed one is found.

Source: D. Anguita, A. Ghio, L. Oneto, X. Parra, J. L. Reyes-Ortiz, "A Public Domain Dataset for Human Activity
Recognition Using Smartphones", ESANN 2013.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgehar.arrays import DAMAGED_NPZ
from edgehar.datasets.archive import Members, open_members
from edgehar.datasets.cache import (
    Packed,
    find_in_source_folders,
    pack,
    read_cache,
    source_folders,
    store_cache,
)
from edgehar.datasets.dataset import Dataset
from edgehar.errors import DataError
from edgehar.recording import IMU_CHANNELS, UNLABELLED, Recording

WINDOW, HOP = 128, 64
ACTIVITIES = ("walking", "upstairs", "downstairs", "sitting", "standing", "laying")
SIGNALS = tuple(f"{signal}_{axis}" for signal in ("total_acc", "body_gyro") for axis in "xyz")

ARCHIVE_NAMES = ("UCI HAR Dataset.zip", "human+activity+recognition+using+smartphones.zip")
FOLDER_NAME = "UCI HAR Dataset"
REENCODED_NAME = "uci_har_inertial.npz"
_SIGNAL_LIMIT, _LABEL_LIMIT = 64 << 20, 1 << 20  # bytes of text; the official files have 15 MB and 20 kB
_MARKER = "train/subject_train.txt"


@dataclass(frozen=True, eq=False)
class Windows:
    """The archive as it is.

    Attributes:
        x: ``[N, 128, 6]`` float32, total acceleration in g, then angular velocity in rad/s.
        label: ``[N]`` int16, 0 walking ... 5 laying.
        subject: ``[N]`` int16, 1..30.
        test: ``[N]`` bool, windows of the official test half.
    """

    x: NDArray[np.float32]
    label: NDArray[np.int16]
    subject: NDArray[np.int16]
    test: NDArray[np.bool_]


@dataclass(frozen=True)
class Counts:
    """What a copy of the data can be recognised by.

    Attributes:
        train_windows, test_windows: windows of each activity in the two halves of the official split.
        train_subjects, test_subjects: the people of each half.
        overlaps: neighbours that share a half exactly.
    """

    train_windows: tuple[int, ...]
    test_windows: tuple[int, ...]
    train_subjects: tuple[int, ...]
    test_subjects: tuple[int, ...]
    overlaps: int


OFFICIAL = Counts(
    train_windows=(1226, 1073, 986, 1286, 1374, 1407),
    test_windows=(496, 471, 420, 491, 532, 537),
    train_subjects=(1, 3, 5, 6, 7, 8, 11, 14, 15, 16, 17, 19, 21, 22, 23, 25, 26, 27, 28, 29, 30),
    test_subjects=(2, 4, 9, 10, 12, 13, 18, 20, 24),
    overlaps=9442,
)


def parse_table(text: bytes, columns: int, where: str) -> NDArray[np.float32]:
    """Return ``[N, columns]`` float32 from lines of numbers separated by blanks.

    Raises:
        DataError: no lines, another number of columns, or something that is not a finite number.
    """
    if not text.strip():
        raise DataError(f"{where}: it is empty, expected lines of {columns} numbers")
    try:
        table = np.loadtxt(io.BytesIO(text), dtype=np.float32, ndmin=2, comments=None, encoding="ascii")
    except (ValueError, UnicodeError) as error:
        raise DataError(f"{where}: {error}; expected lines of {columns} numbers") from error
    if table.shape[1] != columns:
        raise DataError(f"{where}: {table.shape[1]} numbers a line, expected {columns}")
    if not np.isfinite(table).all():
        row = int(np.argmin(np.isfinite(table).all(axis=1)))
        raise DataError(f"{where}: line {row + 1} holds a value that is not finite")
    return table


def _parse_integers(text: bytes, low: int, high: int, where: str) -> NDArray[np.int16]:
    values = parse_table(text, 1, where)[:, 0]
    bad = (values != np.rint(values)) | (values < low) | (values > high)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"{where}: line {row + 1} is {values[row]:g}, expected a whole number from {low} to {high}")
    return values.astype(np.int16)


def _parse_half(members: Members, half: str, where: str) -> Windows:
    def place(name: str) -> str:
        return f"{where}: {name}"

    names = [f"{half}/y_{half}.txt", f"{half}/subject_{half}.txt"]
    label = _parse_integers(members.read(names[0], _LABEL_LIMIT), 1, len(ACTIVITIES), place(names[0])) - np.int16(1)
    subject = _parse_integers(members.read(names[1], _LABEL_LIMIT), 1, 30, place(names[1]))
    if len(subject) != len(label):
        raise DataError(f"{place(names[1])}: {len(subject)} lines for {len(label)} in y_{half}.txt")
    x = np.empty((len(label), WINDOW, len(SIGNALS)), np.float32)
    for column, signal in enumerate(SIGNALS):
        name = f"{half}/Inertial Signals/{signal}_{half}.txt"
        table = parse_table(members.read(name, _SIGNAL_LIMIT), WINDOW, place(name))
        if len(table) != len(label):
            raise DataError(f"{place(name)}: {len(table)} windows for {len(label)} labels in y_{half}.txt")
        x[..., column] = table
    return Windows(x, label, subject, np.full(len(label), half == "test"))


def read_archive(path: Path) -> Windows:
    """Return the windows in the official zip, in the zip that holds it, or in the unpacked folder; training first.

    Raises:
        DataError: a file is missing, too large, or not the table it should be; names the file.
    """
    with open_members(path, _MARKER) as members:
        train, test = (_parse_half(members, half, str(path)) for half in ("train", "test"))
    return Windows(*(np.concatenate([getattr(train, f), getattr(test, f)]) for f in ("x", "label", "subject", "test")))


def read_reencoded(path: Path) -> Windows:
    """Return the windows in ``uci_har_inertial.npz``: shared halves stored once, and an index of pairs of them.

    Raises:
        DataError: it is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            halves, index = z["halves"], z["index"]
            x = np.concatenate([halves[index[:, 0]], halves[index[:, 1]]], axis=2)[:, [6, 7, 8, 3, 4, 5]]
            return Windows(
                np.ascontiguousarray(x.transpose(0, 2, 1), np.float32),
                z["label"].astype(np.int16),
                z["subject"].astype(np.int16),
                z["split"] == 1,
            )
    except (*DAMAGED_NPZ, IndexError) as error:
        raise DataError(f"{path}: not the re-encoded UCI HAR file ({type(error).__name__}: {error})") from error


def overlaps(windows: Windows) -> NDArray[np.bool_]:
    """Return ``[N - 1]``: whether window i + 1 goes on where window i is half over, for the same person."""
    same_person = (windows.subject[:-1] == windows.subject[1:]) & (windows.test[:-1] == windows.test[1:])
    result: NDArray[np.bool_] = same_person & (windows.x[:-1, HOP:] == windows.x[1:, :HOP]).all(axis=(1, 2))
    return result


def count(windows: Windows) -> Counts:
    """Return what these windows can be recognised by."""
    per_activity = [np.bincount(windows.label[windows.test == t], minlength=len(ACTIVITIES)) for t in (False, True)]
    people = [np.unique(windows.subject[windows.test == t]) for t in (False, True)]
    train_windows, test_windows, train_subjects, test_subjects = (tuple(a.tolist()) for a in (*per_activity, *people))
    return Counts(train_windows, test_windows, train_subjects, test_subjects, int(overlaps(windows).sum()))


def check_official(windows: Windows, where: str) -> None:
    """Make sure that these are the official windows, all of them and unchanged.

    Raises:
        DataError: counts of windows, people or overlaps differ from the published data.
    """
    found = count(windows)
    for field in Counts.__dataclass_fields__:
        if getattr(found, field) != getattr(OFFICIAL, field):
            raise DataError(
                f"{where}: {field} is {getattr(found, field)}, expected {getattr(OFFICIAL, field)}; it is not the "
                "official data set, or it was changed; fetch it again"
            )


def stitch(windows: Windows) -> Packed:
    """Return one recording per maximal run of overlapping windows, by person, then in the order of the archive.

    A run of n windows gives 64 (n + 1) samples. Cutting it into windows of 128 by 64 gives the n windows back.
    """
    ends = np.flatnonzero(~overlaps(windows)) + 1
    parts = []
    run_of: dict[int, int] = {}
    for rows in sorted(np.split(np.arange(len(windows.x)), ends), key=lambda rows: int(windows.subject[rows[0]])):
        subject = int(windows.subject[rows[0]])
        run_of[subject] = run_of.get(subject, 0) + 1
        x = windows.x[rows]
        samples = np.concatenate([x[0, :HOP], x[:, HOP:].reshape(-1, x.shape[2])])
        name = f"user{subject:02d}_run{run_of[subject]:02d}"
        parts.append((name, str(subject), samples, _sample_labels(windows.label[rows])))
    return pack(parts)


def _sample_labels(label: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return ``[64 (n + 1)]`` labels of the samples under n overlapping windows."""
    first, second = np.r_[label[0], label], np.r_[label, label[-1]]
    return np.repeat(np.where(first == second, first, UNLABELLED), HOP).astype(np.int16)


def find_source() -> Path | None:
    """Return the copy to read: in the folder ``EDGEHAR_DATA`` first, then a download in the cache folder."""
    return find_in_source_folders((*ARCHIVE_NAMES, FOLDER_NAME, REENCODED_NAME))


def decode(path: Path) -> Packed:
    """Return the stitched recordings of a zip, folder or re-encoded file, verified.

    Raises:
        DataError: it is not the whole, unchanged data set.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; name the official zip or the folder unpacked from it")
    windows = read_reencoded(path) if path.suffix == ".npz" else read_archive(path)
    check_official(windows, str(path))
    return stitch(windows)


def use(path: Path) -> tuple[Recording, ...]:
    """Decode the copy at ``path`` and keep the result in the cache, whatever was there.

    Raises:
        DataError: it is not the whole, unchanged data set.
    """
    packed = decode(path)
    store_cache(UCI_HAR.name, _CACHE_KEY, packed)
    return _recordings(packed)


def load() -> tuple[Recording, ...]:
    """Return the 857 recordings, by person.

    Raises:
        DataError: there is no copy on this machine, or it is damaged.
    """
    packed = read_cache(UCI_HAR.name, _CACHE_KEY)
    if packed is not None:
        return _recordings(packed)
    source = find_source()
    if source is None:
        raise DataError(
            f"the data set 'uci_har' is not in {' or '.join(str(f) for f in source_folders())}; run: edgehar data "
            f"fetch uci_har (or put {ARCHIVE_NAMES[0]!r} in a folder and set EDGEHAR_DATA to it)"
        )
    return use(source)


def ready() -> bool:
    """Return whether a decoded or an official copy is on this machine."""
    return read_cache(UCI_HAR.name, _CACHE_KEY) is not None or find_source() is not None


def _recordings(packed: Packed) -> tuple[Recording, ...]:
    return packed.recordings(UCI_HAR.channels, UCI_HAR.rate_hz, UCI_HAR.label_names, UCI_HAR.citation, UCI_HAR.licence)


# Every source that passes check_official holds the same windows, so the checked counts identify them.
_CACHE_KEY = f"{sum(OFFICIAL.train_windows)}-{sum(OFFICIAL.test_windows)}-{OFFICIAL.overlaps}"

UCI_HAR = Dataset(
    name="uci_har",
    title="Human Activity Recognition Using Smartphones (UCI HAR)",
    label_names=ACTIVITIES,
    channels=IMU_CHANNELS,
    rate_hz=50.0,
    licence="research use with citation, no commercial use (README of the data set)",
    citation="Anguita et al., A Public Domain Dataset for Human Activity Recognition Using Smartphones, ESANN 2013",
    test_subjects=tuple(str(s) for s in OFFICIAL.test_subjects),
    task_labels=ACTIVITIES,
    load=load,
    use=use,
    find_source=find_source,
    ready=ready,
    url="https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip",
    download_name=ARCHIVE_NAMES[1],
)
