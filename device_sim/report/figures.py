"""How numbers are written, for the page and the terminal. Anything that is not a finite number becomes a dash."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

DASH = "–"
MINUS = "−"
SPACE = "\u00a0"  # a figure and its unit stay on one line


def number(value: Any) -> float | None:
    """Return ``value`` if it is a finite number, else None (a summary may come from a stranger's file)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if math.isfinite(converted) else None


def numbers(values: Any) -> list[float]:
    """Return the finite numbers of a list, or an empty list if it is none or holds anything else."""
    if not isinstance(values, list | tuple):
        return []
    found = [number(value) for value in values]
    return [value for value in found if value is not None] if None not in found else []


def mapping(value: Any) -> Mapping[str, Any]:
    """Return ``value`` if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def count(value: Any) -> str:
    """``2713`` as ``2,713``."""
    found = number(value)
    return DASH if found is None else f"{found:,.0f}"


def percent(value: Any, digits: int = 1) -> str:
    """A fraction 0..1 as ``96.8 %``. Rounded down to 99.9 rather than up to 100 when something is wrong."""
    found = number(value)
    if found is None:
        return DASH
    shown = round(100 * found, digits)
    if shown >= 100 and found < 1:
        shown = 100 - 10.0**-digits
    return f"{shown:.{digits}f}{SPACE}%"


def signed(value: Any, digits: int = 1) -> str:
    """``+0.1``, ``0.0`` or ``−0.1`` with a real minus sign."""
    found = number(value)
    if found is None:
        return DASH
    rounded = round(found, digits)
    sign = "" if rounded == 0 else "+" if rounded > 0 else MINUS
    return f"{sign}{abs(rounded):.{digits}f}"


def interval(values: Any, scale: float = 1.0, digits: int = 1) -> str | None:
    """``[0.951, 0.979]`` times ``scale`` as ``95.1 to 97.9``, or None if there is no interval."""
    found = numbers(values)
    if len(found) != 2:
        return None
    low, high = (round(scale * value, digits) for value in found)
    return f"{_minus(low, digits)} to {_minus(high, digits)}"


def _minus(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS) if value else f"{0:.{digits}f}"


def duration(microseconds: Any) -> str:
    """Three figures and the unit that suits: ``48.2 µs``, ``0.41 ms``, ``1.20 s``."""
    found = number(microseconds)
    if found is None:
        return DASH
    if abs(found) < 100:
        return f"{_three(found)}{SPACE}µs"
    if abs(found) < 1e5:
        return f"{_three(found / 1e3)}{SPACE}ms"
    return f"{_three(found / 1e6)}{SPACE}s"


def seconds(value: Any) -> str:
    """``1.2`` as ``1.20 s``: for times that a person waits."""
    found = number(value)
    return DASH if found is None else f"{found:.2f}{SPACE}s"


def _three(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:,.{min(max(0, 2 - math.floor(math.log10(abs(value)))), 3)}f}"


def size(n_bytes: Any) -> str:
    """``18,432`` bytes as ``18.0 KiB``."""
    found = number(n_bytes)
    if found is None:
        return DASH
    if found < 1024:
        return f"{found:,.0f}{SPACE}B"
    return f"{found / 1024:,.1f}{SPACE}KiB" if found < 1024 * 1024 else f"{found / 1024**2:,.1f}{SPACE}MiB"


def clock_time(seconds: float) -> str:
    """``83.4`` as ``1:23.4``, the way a recording's clock shows it."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{rest // 10:02d}.{rest % 10}"


def plural(value: Any, one: str, many: str = "") -> str:
    """``1 person``, ``9 people``."""
    return f"{count(value)} {one if number(value) == 1 else many or one + 's'}"
