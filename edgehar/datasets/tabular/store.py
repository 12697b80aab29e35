"""Imported data sets: a folder each, ``NAME/dataset.json`` and ``NAME/recordings.npz``, found by their name."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.arrays import DAMAGED_NPZ
from edgehar.datasets.cache import Packed, pack
from edgehar.datasets.dataset import Dataset
from edgehar.datasets.splits import k_fold_by_subject
from edgehar.errors import DataError, UsageError
from edgehar.files import atomic_directory, sha256_bytes, sha256_file
from edgehar.recording import UNLABELLED, Channel, Recording

SCHEMA_VERSION = 1
DESCRIPTION = "dataset.json"
RECORDINGS = "recordings.npz"
MAX_DESCRIPTION_BYTES = 4 * 2**20
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
TEST_FOLDS = 5  # a fifth of the people is held out
TEST_SEED = 7


@dataclass(frozen=True)
class Imported:
    """What ``dataset.json`` says.

    Attributes:
        name, title, licence: for people.
        label_names: by index.
        channels: ``(name, unit)`` of each column.
        rate_hz: of all recordings.
        test_subjects: held out, drawn by hash.
        training: keys of a training config that follow from the data.
        sha256: of ``recordings.npz``.
        sources: names of the files.
        guesses, problems: what the import said.
    """

    name: str
    title: str
    label_names: tuple[str, ...]
    channels: tuple[tuple[str, str], ...]
    rate_hz: float
    test_subjects: tuple[str, ...]
    training: dict[str, Any]
    sha256: str
    sources: tuple[str, ...] = ()
    guesses: tuple[dict[str, Any], ...] = ()
    problems: tuple[dict[str, Any], ...] = ()
    licence: str = "the owner's"


def folder() -> Path:
    """Return the folder of imported data sets; it need not exist.

    Raises:
        DataError: nothing names one and this user has no home folder.
    """
    if named := os.environ.get("EDGEHAR_DATASETS"):
        return Path(named).expanduser()
    if xdg := os.environ.get("XDG_DATA_HOME"):
        return Path(xdg) / "edgehar" / "datasets"
    try:
        return Path.home() / ".local" / "share" / "edgehar" / "datasets"
    except RuntimeError:
        raise DataError("this user has no home folder; set EDGEHAR_DATASETS to a folder for data sets") from None


def names() -> list[str]:
    """Return the names of the imported data sets."""
    return sorted(path.parent.name for path in folder().glob(f"*/{DESCRIPTION}") if NAME.fullmatch(path.parent.name))


def check_name(name: str, taken: Sequence[str]) -> None:
    """Refuse a name that a data set cannot have.

    Raises:
        UsageError: it is not a word of small letters, digits and ``_``, or a built-in data set has it.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"--name {name!r}: expected small letters, digits and _, beginning with a letter")
    if name in taken:
        raise UsageError(f"--name {name!r}: a data set that comes with edgehar has it; choose another")


def store(described: Imported, recordings: Sequence[Recording], files: dict[str, bytes]) -> Path:
    """Write a data set, in the place of an older one of its name or not at all.

    Args:
        described: its hash is filled in.
        recordings: all of them.
        files: further files, like a picture.
    """
    none = (np.full(len(r.samples), UNLABELLED, np.int16) for r in recordings)
    packed = pack(
        (r.name, r.subject, np.ascontiguousarray(r.samples), empty if r.labels is None else r.labels)
        for r, empty in zip(recordings, none, strict=True)
    )
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: getattr(packed, name) for name in Packed.__dataclass_fields__})
    data = stream.getvalue()
    record = {"schema_version": SCHEMA_VERSION, **asdict(described), "sha256": sha256_bytes(data)}
    place = folder() / described.name
    with atomic_directory(place) as temporary:
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        (temporary / RECORDINGS).write_bytes(data)
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
        (temporary / DESCRIPTION).write_text(text + "\n", "utf-8")
    return place


def held_out(people: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Return the people to test on, drawn by hash, and how many of the others choose."""
    if len(people) < 2:
        return (), 0
    test = k_fold_by_subject(people, min(TEST_FOLDS, len(people)), TEST_SEED)[0].test_subjects
    return test, min(2, max(0, (len(people) - len(test)) // 3))


def find(name: str) -> Dataset | None:
    """Return an imported data set, None where there is none of this name.

    Raises:
        DataError: its description is damaged.
    """
    if not NAME.fullmatch(name) or not (folder() / name / DESCRIPTION).is_file():
        return None
    place = folder() / name
    described = _described(place / DESCRIPTION)
    return Dataset(
        name=name,
        title=described.title,
        label_names=described.label_names,
        channels=tuple(Channel(channel, unit) for channel, unit in described.channels),
        rate_hz=described.rate_hz,
        licence=described.licence,
        citation="",
        test_subjects=described.test_subjects,
        task_labels=described.label_names,
        load=lambda: _load(place, described),
        use=_not_fetched,
        find_source=lambda: place,
        ready=(place / RECORDINGS).is_file,
        training=described.training,
    )


def _not_fetched(path: Path) -> tuple[Recording, ...]:
    raise UsageError(f"{path}: this data set was imported; import it again with: edgehar data import")


def _described(path: Path) -> Imported:
    again = "import it again with: edgehar data import"
    try:
        if path.stat().st_size > MAX_DESCRIPTION_BYTES:
            raise DataError(f"{path}: is too large; {again}")
        data = json.loads(path.read_text("utf-8"))
        if data.pop("schema_version") != SCHEMA_VERSION:
            raise DataError(f"{path}: is of another edgehar; {again}")
        data = {key: value for key, value in data.items() if key in Imported.__dataclass_fields__}
        for key in ("label_names", "test_subjects", "sources", "guesses", "problems"):
            data[key] = tuple(data.get(key, ()))
        data["channels"] = tuple((str(name), str(unit)) for name, unit in data["channels"])
        if not isinstance(data["training"], dict):
            raise TypeError("training")
        return Imported(**data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: is damaged ({type(error).__name__}); {again}") from None


def _load(place: Path, described: Imported) -> tuple[Recording, ...]:
    path = place / RECORDINGS
    try:
        if sha256_file(path) != described.sha256:
            raise DataError(f"{path}: was altered since it was imported; import it again with: edgehar data import")
        with np.load(path, allow_pickle=False) as stored:
            packed = Packed(**{name: stored[name] for name in Packed.__dataclass_fields__})
    except DAMAGED_NPZ as error:
        raise DataError(
            f"{path}: is damaged ({type(error).__name__}); import it again with: edgehar data import"
        ) from None
    channels = tuple(Channel(name, unit) for name, unit in described.channels)
    return packed.recordings(channels, described.rate_hz, described.label_names, described.name, described.licence)
