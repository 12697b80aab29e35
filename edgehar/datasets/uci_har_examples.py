"""What UCI HAR's archive holds of each of its 10,299 windows: nine raw channels, and 561 features.

Most of the literature trains on one of the two as it is. ``uci_har_windows`` are the nine signals of ``Inertial
Signals``; body acceleration is among them, which the archive computed with a filter that looks ahead, so no device can
have it (``edgehar.datasets.uci_har`` leaves it out). ``uci_har_features`` is ``X_train.txt`` and ``X_test.txt``.

Both are read from the official zip, the folder unpacked from it, or the re-encoded files. The windows must pass
:func:`edgehar.datasets.uci_har.check_official`. Of the features, the re-encoded file must have its SHA-256 (298 of its
columns are the official ones, the others were recomputed, to about 1e-6), and rows, activities and people of the
archive must be the official ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgehar.arrays import DAMAGED_NPZ
from edgehar.datasets import uci_har
from edgehar.datasets.archive import Members, open_members
from edgehar.datasets.cache import find_in_source_folders, source_folders
from edgehar.datasets.checksums import check_sha256, known_sha256
from edgehar.datasets.examples import Examples, ExampleSet
from edgehar.errors import DataError
from edgehar.heads import Task

CHANNELS = tuple(f"{signal}_{axis}" for signal in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")
FEATURES_NAME = "uci_har_features561.npz"
TASK = Task("activity", "multiclass", uci_har.ACTIVITIES)

_ARCHIVES = (*uci_har.ARCHIVE_NAMES, uci_har.FOLDER_NAME)
_TABLE_LIMIT, _NAMES_LIMIT = 256 << 20, 1 << 20  # bytes of text; the largest official files have 66 MB and 16 kB
_MARKER = "train/subject_train.txt"
_REMEDY = "run: edgehar data fetch uci_har (or put the archive into a folder and set EDGEHAR_DATA to it)"

F32 = NDArray[np.float32]


def read_windows(path: Path) -> Examples:
    """Return the windows ``[N, 128, 9]`` of an archive or of ``uci_har_inertial.npz``: g, rad/s, g.

    Raises:
        DataError: it is not the whole, unchanged data set.
    """
    if path.suffix == ".npz":
        windows, body = uci_har.read_reencoded(path), _reencoded_body(path)
    else:
        windows = uci_har.read_archive(path)
        names = [f"Inertial Signals/{name}" for name in CHANNELS[:3]]
        with open_members(path, _MARKER) as members:
            axes = [_column(members, name, uci_har.WINDOW, windows, path) for name in names]
        body = np.stack(axes, axis=2)
    uci_har.check_official(windows, str(path))
    total, gyro = windows.x[..., :3], windows.x[..., 3:]
    return _examples(np.concatenate([body, gyro, total], axis=2), CHANNELS, windows)


def _reencoded_body(path: Path) -> F32:
    with np.load(path, allow_pickle=False) as z:  # read_reencoded has just read these arrays
        halves, index = z["halves"], z["index"]
    body = np.concatenate([halves[index[:, 0], :3], halves[index[:, 1], :3]], axis=2)
    return np.ascontiguousarray(body.transpose(0, 2, 1), np.float32)


def read_features(path: Path) -> Examples:
    """Return the features ``[N, 561]`` of an archive or of ``uci_har_features561.npz``, within -1..1.

    Raises:
        DataError: it is not the whole, unchanged data set.
    """
    if path.suffix == ".npz":
        return _reencoded_features(path)
    windows = uci_har.read_archive(path)
    uci_har.check_official(windows, str(path))
    with open_members(path, _MARKER) as members:
        lines = members.read("features.txt", _NAMES_LIMIT).decode("ascii", "replace").split("\n")
        names = tuple(line.partition(" ")[2] for line in lines if line)
        values = _column(members, "X", len(names), windows, path)
    return _examples(values, names, windows)


def _reencoded_features(path: Path) -> Examples:
    check_sha256(path, known_sha256(FEATURES_NAME), _REMEDY)
    try:
        with np.load(path, allow_pickle=False) as z:
            values, names = np.ascontiguousarray(z["X"].T), tuple(z["names"].tolist())
            rows = z["label"].astype(np.int16), z["subject"].astype(np.int16), z["split"] == 1
    except DAMAGED_NPZ as error:
        raise DataError(f"{path}: not the re-encoded features ({type(error).__name__}: {error}); {_REMEDY}") from error
    return _examples(values, names, uci_har.Windows(np.empty((len(values), 0, 0), np.float32), *rows))


def _column(members: Members, name: str, columns: int, windows: uci_har.Windows, path: Path) -> F32:
    """Return ``[N, columns]`` of ``train/NAME_train.txt`` and ``test/NAME_test.txt``, in the order of the windows."""
    halves = []
    for half, count in (("train", int((~windows.test).sum())), ("test", int(windows.test.sum()))):
        file = f"{half}/{name}_{half}.txt"
        halves.append(uci_har.parse_table(members.read(file, _TABLE_LIMIT), columns, f"{path}: {file}"))
        if len(halves[-1]) != count:
            raise DataError(f"{path}: {file}: {len(halves[-1])} lines, expected one for each of {count} labels")
    return np.concatenate(halves)


def _examples(values: F32, columns: tuple[str, ...], windows: uci_har.Windows) -> Examples:
    return Examples(
        values=values,
        columns=columns,
        subjects=windows.subject.astype(np.str_),
        task=TASK,
        truth=windows.label[:, None],
        test_groups=(tuple(np.unique(windows.subject[windows.test]).astype(np.str_).tolist()),),
        source=uci_har.UCI_HAR.citation,
        licence=uci_har.UCI_HAR.licence,
    )


def _find(names: tuple[str, ...], what: str) -> Path:
    found = find_in_source_folders(names)
    if found is None:
        folders = " or ".join(str(folder) for folder in source_folders())
        raise DataError(f"the {what} of UCI HAR are not in {folders}; {_REMEDY}")
    return found


_WINDOW_SOURCES = (*_ARCHIVES, uci_har.REENCODED_NAME)
_FEATURE_SOURCES = (*_ARCHIVES, FEATURES_NAME)

UCI_HAR_WINDOWS = ExampleSet(
    name="uci_har_windows",
    title="UCI HAR, nine raw channels of each window",
    load=lambda: read_windows(_find(_WINDOW_SOURCES, "windows")),
    ready=lambda: find_in_source_folders(_WINDOW_SOURCES) is not None,
)
UCI_HAR_FEATURES = ExampleSet(
    name="uci_har_features",
    title="UCI HAR, 561 features of each window",
    load=lambda: read_features(_find(_FEATURE_SOURCES, "features")),
    ready=lambda: find_in_source_folders(_FEATURE_SOURCES) is not None,
)
