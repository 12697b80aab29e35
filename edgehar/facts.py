"""Plain data from elsewhere, of which only some fields are read: those have one type each, the rest is free.

A table names them by path, ``provenance.data.dataset``, after the paths that lead to them. ``MANIFEST`` is that of a
bundle's ``model``, ``licence`` and ``provenance``; a run record and a ``summary.json`` have theirs where they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """What a field holds, in words, and whether a value is that."""

    words: str
    fits: Callable[[object], bool]


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def _are_engines(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(row, Mapping)
        and isinstance(row.get("engine"), str)
        and all(isinstance(row.get(bound, 0), int | float) for bound in ("bound_lsb", "bound_sd"))
        for row in value
    )


TEXT = Kind("a text", lambda value: isinstance(value, str))
TEXTS = Kind("a list of texts", _are_texts)
COUNT = Kind("a whole number from 0", lambda value: isinstance(value, int) and value >= 0)
NUMBER = Kind("a number", lambda value: isinstance(value, int | float))
SWITCH = Kind("true or false", lambda value: isinstance(value, bool))
LIST = Kind("a list", lambda value: isinstance(value, list))
OBJECT = Kind("an object", lambda value: isinstance(value, Mapping))
ENGINES = Kind("a list of engines with their bounds", _are_engines)

MANIFEST = {
    "model": OBJECT,
    "model.name": TEXT,
    "model.parameters": COUNT,
    "model.macs": COUNT,
    "model.total_stride": COUNT,
    "model.stateful": SWITCH,
    "licence": OBJECT,
    "licence.data": TEXT,
    "licence.model": TEXT,
    "provenance": OBJECT,
    "provenance.command": TEXT,
    "provenance.config": OBJECT,
    "provenance.packages": OBJECT,
    "provenance.data": OBJECT,
    "provenance.data.dataset": TEXT,
    "provenance.data.source": TEXT,
    "provenance.data.licence": TEXT,
    "provenance.data.sha256": TEXT,
    "provenance.data.train_subjects": TEXTS,
    "provenance.data.validation_subjects": TEXTS,
    "provenance.data.test_subjects": TEXTS,
    "provenance.verification": OBJECT,
    "provenance.verification.engines": ENGINES,
}


def find(told: Mapping[str, Any], path: str) -> Any:
    """Return what is at ``a.b.c``.

    Raises:
        KeyError: there is nothing.
    """
    for name in path.split("."):
        told = told[name]
    return told


def problems(told: Mapping[str, Any], kinds: Mapping[str, Kind], *, all_there: bool = False) -> list[str]:
    """Return, in words, which fields hold something else than they should, and with ``all_there`` which are missing."""
    wrong: dict[str, str] = {}
    for path, kind in kinds.items():
        if any(path.startswith(f"{outer}.") for outer in wrong):
            continue  # below something that is wrong itself
        try:
            value = find(told, path)
        except KeyError:
            if all_there:
                wrong[path] = f"{path} is missing, expected {kind.words}"
            continue
        if not kind.fits(value):
            wrong[path] = f"{path} is {value!r:.40}, expected {kind.words}"
    return list(wrong.values())
