"""Scores of both runs and a paired bootstrap over people: what the difference would be for others like these.

Both runs saw the same people, so each draw takes the same people for both: what is hard for a person is hard in both
and cancels. The interval is the 2.5th to the 97.5th percentile of the difference.

Source: Efron & Tibshirani, An Introduction to the Bootstrap, sections 8.6 (clusters) and 13.3 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.compare.row import Row, not_compared, verdict
from device_sim.scores import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, INTERVAL_PERCENT

F64 = NDArray[np.float64]
Summary = Mapping[str, Any]
Statistic = Callable[[F64, Any], F64]  # (weights [D, P], what one run says of P people) -> [D]


@dataclass(frozen=True)
class Score:
    """One score.

    Attributes:
        name, title, unit, higher_is_better: see :class:`device_sim.compare.row.Row`.
        scale: from the statistic to the unit.
        read: what a summary says of each of these people.
        statistic: of a weighted sum over them.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    scale: float
    read: Callable[[Summary, list[str]], Any]
    statistic: Statistic


def _confusions(summary: Summary, people: list[str]) -> F64:
    """``[P, K, K]``."""
    found = {p["subject"]: p["confusion"] for p in summary["per_subject"]}
    return np.array([found[subject] for subject in people], np.float64)


def _accuracy(weights: F64, confusions: F64) -> F64:
    right, windows = np.trace(confusions, axis1=1, axis2=2), confusions.sum(axis=(1, 2))
    return _ratio(weights @ right, weights @ windows)


def _macro_f1(weights: F64, confusions: F64) -> F64:
    total = np.tensordot(weights, confusions, 1)
    truth, decided, hits = total.sum(axis=2), total.sum(axis=1), np.diagonal(total, axis1=1, axis2=2)
    return _mean_present(_ratio(2 * hits, truth + decided), truth > 0)


def _events(summary: Summary, people: list[str]) -> F64:
    """``[3, P, K]``: true, announced and matched events."""
    found = {p["subject"]: p for p in summary["events"]["per_subject"]}
    none = [0] * len(summary["events"]["per_activity"])
    rows = [[found[s][key] if s in found else none for s in people] for key in ("true", "announced", "matched")]
    return np.array(rows, np.float64)


def _event_f1(weights: F64, events: F64) -> F64:
    true, announced, matched = (weights @ part.sum(axis=1) for part in events)
    return _ratio(2 * matched, true + announced)


def _event_macro_f1(weights: F64, events: F64) -> F64:
    true, announced, matched = (weights @ part for part in events)
    return _mean_present(_ratio(2 * matched, true + announced), true > 0)


def _delays(summary: Summary, people: list[str]) -> tuple[F64, NDArray[np.int64]]:
    """Ascending delays ``[N]`` in seconds, infinite where undetected, and whose they are."""
    found = {p["subject"]: p for p in summary["events"]["per_subject"]}
    pairs = [
        (delay, index)
        for index, subject in enumerate(people)
        if subject in found
        for delay in [*found[subject]["delays_s"], *[np.inf] * found[subject]["undetected"]]
    ]
    pairs.sort()
    return np.array([delay for delay, _ in pairs], np.float64), np.array([index for _, index in pairs], np.int64)


def _median_delay(weights: F64, delays: tuple[F64, NDArray[np.int64]]) -> F64:
    values, owners = delays
    if not len(values):
        return np.full(len(weights), np.nan)
    seen = np.cumsum(weights[:, owners], axis=1)
    return np.asarray(values[(seen >= seen[:, -1:] / 2).argmax(axis=1)])


def _rate_of(count: str, hours: str) -> Callable[[Summary, list[str]], F64]:
    """Return a reader of ``[2, P]``: how many, and in how many hours."""

    def read(summary: Summary, people: list[str]) -> F64:
        found = {p["subject"]: p for p in summary["events"]["per_subject"]}
        return np.array([[found[s][key] if s in found else 0 for s in people] for key in (count, hours)], np.float64)

    return read


def _rate(weights: F64, counts: F64) -> F64:
    return _ratio(weights @ counts[0], weights @ counts[1])


def _ratio(above: F64, below: F64) -> F64:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _mean_present(values: F64, present: NDArray[np.bool_]) -> F64:
    return _ratio(np.where(present, values, 0).sum(axis=1), present.sum(axis=1).astype(np.float64))


FLIPS, ALARMS = _rate_of("flips", "labelled_hours"), _rate_of("false_alarms", "null_hours")
SCORES = (
    Score("accuracy", "Accuracy", "points", True, 100, _confusions, _accuracy),
    Score("macro_f1", "Macro-F1", "points", True, 100, _confusions, _macro_f1),
    Score("event_f1", "Event F1", "points", True, 100, _events, _event_f1),
    Score("event_macro_f1", "Event macro-F1", "points", True, 100, _events, _event_macro_f1),
    Score("delay_s", "Median delay", "s", False, 1, _delays, _median_delay),
    Score("flips_per_hour", "Flips", "an hour", False, 1, FLIPS, _rate),
    Score("false_alarms_per_hour", "False alarms", "an hour", False, 1, ALARMS, _rate),
)


def people_rows(a: Summary, b: Summary) -> list[Row]:
    """Return a row for each of ``SCORES``. Both summaries are of the same data."""
    people = sorted(p["subject"] for p in a["per_subject"])
    return [_row(score, a, b, people) for score in SCORES]


def _row(score: Score, a: Summary, b: Summary, people: list[str]) -> Row:
    told = [score.read(summary, people) for summary in (a, b)]
    ones = np.ones((1, len(people)))
    first, second = (score.scale * float(score.statistic(ones, said)[0]) for said in told)
    if not (np.isfinite(first) and np.isfinite(second)):
        why = "undetected in the median" if np.isinf(first) or np.isinf(second) else "no truth to score with"
        return not_compared(score.name, score.title, score.unit, score.higher_is_better, why)
    difference = second - first
    interval = _interval(score, told, len(people))
    equal = all(np.array_equal(x, y) for x, y in zip(*map(_parts, told), strict=True))
    note = f"{len(people)} people drawn in pairs"
    if interval is None:
        note = "one person: nothing is known of others" if len(people) < 2 else "undetected in the median of some draws"
    said = verdict(difference, interval, score.higher_is_better, equal)
    return Row(
        score.name, score.title, score.unit, first, second, difference, interval, score.higher_is_better, said, note
    )


def _parts(said: Any) -> tuple[NDArray[Any], ...]:
    return said if isinstance(said, tuple) else (said,)


def _interval(score: Score, told: list[Any], people: int) -> tuple[float, float] | None:
    if people < 2:
        return None
    drawn = np.random.default_rng(BOOTSTRAP_SEED).integers(0, people, (BOOTSTRAP_DRAWS, people))
    weights = (drawn[:, :, None] == np.arange(people)).sum(axis=1).astype(np.float64)
    first, second = (score.scale * score.statistic(weights, said) for said in told)
    alike = first == second  # infinite ones, too
    change = np.where(alike, 0.0, np.where(alike, 0.0, second) - np.where(alike, 0.0, first))
    known = change[~np.isnan(change)]
    if not len(known):
        return None
    low, high = np.percentile(known, INTERVAL_PERCENT, method="inverted_cdf")
    return (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else None
