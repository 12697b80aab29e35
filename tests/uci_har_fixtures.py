"""A small archive in the layout of UCI HAR's, as text files, for the tests of its readers."""

import zipfile

import numpy as np

from edgehar.datasets import uci_har
from edgehar.signal.windows import sliding_windows

ROOT = "UCI HAR Dataset/"


def cut_windows(seed, windows):
    """Windows of one continuous stretch of whole thousandths, as the text files have them."""
    x = np.random.default_rng(seed).integers(-2000, 2000, (64 * (windows + 1), 6)).astype(np.float32) / 1000
    return sliding_windows(x, 128, 64)


# half -> stretches of (person, activity of each window)
STRETCHES = {"train": [(1, (5, 5, 4)), (3, (1,)), (1, (2, 2))], "test": [(2, (6, 6))]}


def archive_tables():
    """The text of every file of a small archive, by its name below the root."""
    files = {}
    for half, stretches in STRETCHES.items():
        windows = np.concatenate([cut_windows(10 * s + len(y), len(y)) for s, y in stretches])
        for column, signal in enumerate(uci_har.SIGNALS):
            lines = ["".join(f" {v: .7e}" for v in row) for row in windows[..., column]]
            files[f"{half}/Inertial Signals/{signal}_{half}.txt"] = "\n".join(lines) + "\n"
        files[f"{half}/y_{half}.txt"] = "".join(f"{label}\n" for _, y in stretches for label in y)
        files[f"{half}/subject_{half}.txt"] = "".join(f"{s}\n" for s, y in stretches for _ in y)
    return files


def zip_archive(path, files, root=ROOT):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("__MACOSX/" + root + "train/._subject_train.txt", "resource fork")
        for name, text in files.items():
            z.writestr(root + name, text)
    return path
