"""Which faults, how severe: ``drop:0.05,jitter:5ms`` on a command line, or a table ``[faults]`` in a TOML file."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_sim.faults.table import FAULTS, UNITS
from edgehar.errors import UsageError

EXAMPLE = "drop:0.05,nan:0.01,jitter:5ms,turn:180deg,saturate:2g"
NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s]*)")


@dataclass(frozen=True)
class FaultSpec:
    """One fault asked for.

    Attributes:
        name: key of ``FAULTS``.
        severity: in the unit of its entry.
    """

    name: str
    severity: float

    def __str__(self) -> str:
        unit = FAULTS[self.name].unit
        return f"{self.name}:{self.severity:g}{unit if unit in UNITS[unit] else ''}"


def parse_faults(text: str) -> tuple[FaultSpec, ...]:
    """Read ``name:severity[,name:severity...]``, in the order in which a sample meets the faults.

    Raises:
        UsageError: an unknown name (with the nearest one), a severity that is no number of its unit or out of range, a
            fault named twice.
    """
    found = []
    for part in text.split(","):
        name, colon, severity = part.strip().partition(":")
        check_name(name)
        if not colon:
            raise UsageError(f"fault {part.strip()!r} has no severity, expected {name}:{_example(name)}")
        found.append(FaultSpec(name, read_severity(name, severity.strip())))
    return in_order(found)


def read_faults(text: str) -> tuple[FaultSpec, ...]:
    """Read a specification, or the table ``[faults]`` of the TOML file of that name.

    Raises:
        UsageError: see :func:`parse_faults`; or the file cannot be read.
    """
    if not text.endswith(".toml"):
        return parse_faults(text)
    table = read_table(Path(text))
    return in_order([FaultSpec(name, _one(name, value)) for name, value in table.items()])


def read_table(path: Path) -> Mapping[str, Any]:
    """Return the table ``[faults]`` of a TOML file; its names are those of ``FAULTS``.

    Raises:
        UsageError: the file cannot be read, has no such table, or names an unknown fault.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is no TOML ({error})") from None
    table = data.get("faults")
    if not isinstance(table, dict) or set(data) != {"faults"}:
        found = ", ".join(data) or "nothing"
        raise UsageError(f"{path}: expected one table [faults] with lines as drop = 0.05, found {found}")
    for name in table:
        check_name(name)
    return table


def read_severity(name: str, value: str | float) -> float:
    """Return a severity in the fault's own unit.

    Raises:
        UsageError: it is no number of that unit, or out of range.
    """
    entry = FAULTS[name]
    units = UNITS[entry.unit]
    match = NUMBER.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool) or match[2] not in units:
        written = [f"{_example(name, unit)}" for unit in units]
        raise UsageError(f"severity {str(value)!r} of fault {name!r}: expected a number as {' or '.join(written)}")
    severity = float(match[1]) * units[match[2]]
    if not entry.lowest <= severity <= entry.highest or (entry.whole and severity != int(severity)):
        kind = "a whole number" if entry.whole else "a number"
        raise UsageError(
            f"severity {str(value)!r} of fault {name!r}: expected {kind} from {entry.lowest:g} to {entry.highest:g} "
            f"({entry.unit}: {entry.what})"
        )
    return severity


def check_name(name: str) -> None:
    """Raise UsageError with the nearest accepted name if there is no such fault."""
    if name in FAULTS:
        return
    near = difflib.get_close_matches(name, FAULTS, n=1, cutoff=0.0)
    raise UsageError(f"unknown fault {name!r}, did you mean {near[0]!r}? Accepted: {', '.join(FAULTS)} (as {EXAMPLE})")


def in_order(faults: list[FaultSpec]) -> tuple[FaultSpec, ...]:
    """Return them in the order of ``FAULTS``.

    Raises:
        UsageError: a fault is there twice.
    """
    names = [fault.name for fault in faults]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"fault {twice[0]!r} is named twice; give it one severity")
    order = list(FAULTS)
    return tuple(sorted(faults, key=lambda fault: order.index(fault.name)))


def _one(name: str, value: Any) -> float:
    if not isinstance(value, str | int | float):
        raise UsageError(f"severity {value!r} of fault {name!r}: expected one number or text, as {_example(name)!r}")
    return read_severity(name, value)


def _example(name: str, unit: str | None = None) -> str:
    entry = FAULTS[name]
    units = UNITS[entry.unit]
    unit = (entry.unit if entry.unit in units else "") if unit is None else unit
    return f"{entry.severities[1] / units[unit]:g}{unit}"
