"""What is known about a data set before any of it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgehar.recording import Channel, Recording


@dataclass(frozen=True)
class Dataset:
    """One line of the table of data sets.

    Attributes:
        name: what a config or the command line calls it.
        title: full name.
        label_names: activities in the order of their label index.
        channels: meaning of each column.
        rate_hz: samples a second.
        licence: terms of use.
        citation: what to cite.
        test_subjects: people that the official protocol keeps for testing; where there is none, people that we drew.
        task_labels: activities that are trained and scored unless told otherwise.
        load: returns the recordings, from the cache where it can.
        use: decodes the copy at a path and keeps the result in the cache.
        find_source: returns the copy on this machine that ``load`` would decode, if there is one.
        ready: whether ``load`` would find its data on this machine; cheap.
        url: official download; empty where the data come as a Python package.
        download_name: file name of that download in the cache folder.
        training: keys of a training config that follow from the data, unless told otherwise.
    """

    name: str
    title: str
    label_names: tuple[str, ...]
    channels: tuple[Channel, ...]
    rate_hz: float
    licence: str
    citation: str
    test_subjects: tuple[str, ...]
    task_labels: tuple[str, ...]
    load: Callable[[], tuple[Recording, ...]]
    use: Callable[[Path], tuple[Recording, ...]]
    find_source: Callable[[], Path | None]
    ready: Callable[[], bool]
    url: str = ""
    download_name: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
