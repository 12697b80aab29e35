"""ExtraSensory's inertial features: 37 people in the wild, a row a minute, 51 labels that do not exclude each other.

Each row has 107 features of 20 seconds: 26 of the phone's accelerometer, 26 of its gyroscope, 46 of a watch's
accelerometer, 9 of the watch's compass heading. Not everybody wore a watch, and sensors fail: NaN where one was absent.
People reported what they were doing themselves; a label that nobody answered for that minute is unknown (-1), which is
most often the case. The authors' five folds hold out groups of people.

The file is a re-encoding (float16) of the published features and labels; the people are pseudonyms, and nothing here
tries to find out who they are.

Source: Y. Vaizman, K. Ellis, G. Lanckriet, "Recognizing Detailed Human Context In-the-Wild from Smartphones and
Smartwatches", IEEE Pervasive Computing 16(4), 2017.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgehar.arrays import DAMAGED_NPZ
from edgehar.datasets.cache import find_in_source_folders, source_folders
from edgehar.datasets.checksums import check_sha256, known_sha256
from edgehar.datasets.examples import Examples, ExampleSet
from edgehar.errors import DataError
from edgehar.heads import Task

FILE_NAME = "extrasensory_imu.npz"

_REMEDY = f"put the file {FILE_NAME!r}, the re-encoded data set, into a folder and set EDGEHAR_DATA to it"


def decode(path: Path) -> Examples:
    """Return the rows of a file in the layout of ``extrasensory_imu.npz``.

    The file has ``planes`` ``[K, 2, N]`` uint8, the low bytes of all rows and then the high bytes of each feature as
    float16; ``labels`` ``[L, N]`` int8; ``user`` ``[N]`` and ``user_fold`` ``[users]``; and the names of both.

    Raises:
        DataError: it has another layout.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            bytes_of_rows = np.ascontiguousarray(z["planes"].transpose(2, 0, 1))
            values = bytes_of_rows.view("<f2")[..., 0].astype(np.float32)
            truth, user, fold = z["labels"].T.astype(np.int16), z["user"], z["user_fold"]
            columns, labels = tuple(z["feature_names"].tolist()), tuple(z["label_names"].tolist())
            groups = tuple(tuple(map(str, np.flatnonzero(fold == i).tolist())) for i in np.unique(fold))
        return Examples(
            values=values,
            columns=columns,
            subjects=user.astype(np.str_),
            task=Task("context", "multilabel", labels),
            truth=np.ascontiguousarray(truth),
            test_groups=groups,
            source="Vaizman et al., Recognizing Detailed Human Context In-the-Wild, IEEE Pervasive Computing 2017",
            licence="public, with citation",
        )
    except (*DAMAGED_NPZ, DataError) as error:
        raise DataError(f"{path}: not laid out as {FILE_NAME} ({type(error).__name__}: {error}); {_REMEDY}") from error


def load() -> Examples:
    """Return all rows.

    Raises:
        DataError: the file is not on this machine, or damaged.
    """
    path = find_in_source_folders((FILE_NAME,))
    if path is None:
        folders = " or ".join(str(folder) for folder in source_folders())
        raise DataError(f"the data set 'extrasensory' is not in {folders}; {_REMEDY}")
    check_sha256(path, known_sha256(FILE_NAME), _REMEDY)
    return decode(path)


EXTRASENSORY = ExampleSet(
    name="extrasensory",
    title="ExtraSensory, inertial features in the wild",
    load=load,
    ready=lambda: find_in_source_folders((FILE_NAME,)) is not None,
)
