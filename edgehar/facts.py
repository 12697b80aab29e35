"""What a manifest tells besides what the device needs: free-form, but what tools read of it has one type.

``model``, ``licence`` and ``provenance`` may hold anything else too, and may lack any of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def _texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def _engines(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(row, Mapping)
        and isinstance(row.get("engine"), str)
        and all(isinstance(row.get(bound, 0), int | float) for bound in ("bound_lsb", "bound_sd"))
        for row in value
    )


def _text(value: object) -> bool:
    return isinstance(value, str)


def _mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _count(value: object) -> bool:
    return isinstance(value, int) and value >= 0


FACTS: dict[str, Callable[[object], bool]] = {  # a path after those that lead to it
    "model": _mapping,
    "model.name": _text,
    "model.parameters": _count,
    "model.macs": _count,
    "model.total_stride": _count,
    "model.stateful": lambda value: isinstance(value, bool),
    "licence": _mapping,
    "licence.data": _text,
    "licence.model": _text,
    "provenance": _mapping,
    "provenance.command": _text,
    "provenance.config": _mapping,
    "provenance.packages": _mapping,
    "provenance.data": _mapping,
    "provenance.data.dataset": _text,
    "provenance.data.source": _text,
    "provenance.data.licence": _text,
    "provenance.data.sha256": _text,
    "provenance.data.train_subjects": _texts,
    "provenance.data.validation_subjects": _texts,
    "provenance.data.test_subjects": _texts,
    "provenance.verification": _mapping,
    "provenance.verification.engines": _engines,
}


def find(told: Mapping[str, Any], path: str) -> Any:
    """Return what is at ``a.b.c``.

    Raises:
        KeyError: there is nothing.
    """
    for name in path.split("."):
        told = told[name]
    return told


def problems(told: Mapping[str, Any]) -> list[str]:
    """Return what has another type than tools expect; what is not there is no problem."""
    found: list[str] = []
    for path, fits in FACTS.items():
        if any(path.startswith(f"{each.split(' ')[0]}.") for each in found):
            continue  # below something that is wrong itself
        try:
            value = find(told, path)
        except KeyError:
            continue
        if not fits(value):
            found.append(f"{path} is {value!r:.40}, which has another type")
    return found
