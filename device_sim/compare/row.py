"""One metric of two runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

VERDICTS = ("better", "worse", "level", "equal", "not compared")


@dataclass(frozen=True)
class Row:
    """One metric of A and B.

    Attributes:
        name: for files, ``accuracy``.
        title: for people.
        unit: of a, b, difference and interval.
        a, b: the metric; None where it is not compared.
        difference: b minus a.
        interval: where the difference lies; both ends are the difference itself where it is exact, None where nothing
            can be said.
        higher_is_better: which direction is worse.
        verdict: one of ``VERDICTS``. *level*: not equal, and the interval holds zero or there is none.
        note: how the interval was made, or why there is none.
    """

    name: str
    title: str
    unit: str
    a: float | None
    b: float | None
    difference: float | None
    interval: tuple[float, float] | None
    higher_is_better: bool
    verdict: str
    note: str

    @property
    def loss(self) -> float | None:
        """How much worse B is than A, in the unit; below zero where it is better."""
        if self.difference is None:
            return None
        return -self.difference if self.higher_is_better else self.difference

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def not_compared(name: str, title: str, unit: str, higher_is_better: bool, why: str) -> Row:
    """Return the row of a metric that both runs do not have alike."""
    return Row(name, title, unit, None, None, None, None, higher_is_better, "not compared", why)


def verdict(difference: float, interval: tuple[float, float] | None, higher_is_better: bool, equal: bool) -> str:
    """Return what a difference and its interval say of B."""
    if equal:
        return "equal"
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "level"
    return "better" if (difference > 0) == higher_is_better else "worse"


def exact(name: str, title: str, unit: str, *, a: float, b: float, note: str) -> Row:
    """Return the row of a figure that has no error, the less the better."""
    difference = b - a
    interval = (difference, difference)
    return Row(name, title, unit, a, b, difference, interval, False, verdict(difference, interval, False, a == b), note)
