"""Data sets by name: each a function that yields recordings, or ready-made examples. numpy only at import.

A data set is one file here and one line in ``DATASETS``, or in ``EXAMPLE_SETS`` where it has no streams.
"""

from __future__ import annotations

import difflib

from edgehar.datasets.dataset import Dataset
from edgehar.datasets.examples import Examples, ExampleSet
from edgehar.datasets.extrasensory import EXTRASENSORY
from edgehar.datasets.hapt import HAPT
from edgehar.datasets.sp_sw_har import SP_SW_HAR, SP_SW_HAR_PHONE, SP_SW_HAR_WATCH
from edgehar.datasets.tabular import store
from edgehar.datasets.uci_har import UCI_HAR
from edgehar.datasets.uci_har_examples import UCI_HAR_FEATURES, UCI_HAR_WINDOWS
from edgehar.errors import UsageError
from edgehar.recording import Recording

__all__ = [
    "DATASETS",
    "EXAMPLE_SETS",
    "Dataset",
    "ExampleSet",
    "Examples",
    "find_dataset",
    "load_dataset",
    "load_examples",
]

DATASETS: dict[str, Dataset] = {
    "hapt": HAPT,
    "uci_har": UCI_HAR,
    "sp_sw_har": SP_SW_HAR,
    "sp_sw_har_phone": SP_SW_HAR_PHONE,
    "sp_sw_har_watch": SP_SW_HAR_WATCH,
}

EXAMPLE_SETS: dict[str, ExampleSet] = {
    "uci_har_windows": UCI_HAR_WINDOWS,
    "uci_har_features": UCI_HAR_FEATURES,
    "extrasensory": EXTRASENSORY,
}


def find_dataset(name: str) -> Dataset:
    """Return what is known about the data set ``name``: one of the table, or one that was imported.

    Raises:
        UsageError: there is none of this name; lists the known ones and the nearest.
        DataError: what was imported is damaged.
    """
    if name in DATASETS:
        return DATASETS[name]
    if (imported := store.find(name)) is not None:
        return imported
    known = (*DATASETS, *store.names())
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"there is no data set {name!r}; known ones: {', '.join(known)}{hint}")


def load_dataset(name: str) -> tuple[Recording, ...]:
    """Return all recordings of the data set ``name``.

    Raises:
        UsageError: there is none of this name.
        DataError: its data are not on this machine, or damaged.
        MissingExtraError: they come with an install extra that is not there.
    """
    return find_dataset(name).load()


def load_examples(name: str) -> Examples:
    """Return all rows of the data set of examples ``name``.

    Raises:
        UsageError: there is none of this name.
        DataError: its data are not on this machine, or damaged.
    """
    if name not in EXAMPLE_SETS:
        raise UsageError(f"there is no data set of examples {name!r}; known ones: {', '.join(EXAMPLE_SETS)}")
    return EXAMPLE_SETS[name].load()
