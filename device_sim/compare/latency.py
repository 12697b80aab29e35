"""Latencies of two runs, from the histograms of their steady decisions.

The p-quantile of n durations lies, with 95 %, between those of rank ``np - 1.96 sqrt(np(1-p))`` and ``np + 1.96
sqrt(np(1-p))``, each give or take the histogram's own error; where the upper rank is beyond n, nothing bounds it. B is
slower when its interval is wholly above A's, faster when it is wholly below, and level otherwise. That says that the
two runs differ, not why: runs at different times meet a host in different moods, so run both again, in the other order,
before believing it. Modelled times have no such doubt, and get the same rule.

Source: Conover, Practical Nonparametric Statistics, section 3.2 (confidence interval of a quantile, normal form).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from device_sim.compare.row import Row, not_compared
from device_sim.telemetry import RELATIVE_ERROR, Histogram
from edgehar.errors import DataError

Summary = Mapping[str, Any]

STAGES = {"total": "Decision", "engine": "Engine"}
QUANTILES = {"p50": 0.5, "p99": 0.99}
NORMAL_95 = 1.959964
HOST = ("machine", "system", "cpu", "processors")


def latency_rows(a: Summary, b: Summary) -> list[Row]:
    """Return a row for each stage and quantile.

    Raises:
        DataError: a histogram is damaged.
    """
    why = _unlike(a, b)
    rows = []
    for stage, words in STAGES.items():
        for name, share in QUANTILES.items():
            key, title = f"latency_{stage}_{name}_us", f"{words} {name}"
            histograms = [_histogram(which, summary, stage) for which, summary in (("A", a), ("B", b))]
            if why or not all(h.count for h in histograms):
                rows.append(not_compared(key, title, "µs", False, why or f"no steady {words.lower()} was timed"))
            else:
                rows.append(_row(key, title, share, *histograms))
    return rows


def quantile_us(histogram: Histogram, share: float) -> tuple[float, float, float]:
    """Return a quantile in µs and the interval it lies in with 95 %; infinite where nothing bounds it above."""
    n = histogram.count
    spread = NORMAL_95 * math.sqrt(n * share * (1 - share))
    low, high = math.floor(n * share - spread), math.ceil(n * share + spread)
    lowest = histogram.at_rank_us(low) * (1 - RELATIVE_ERROR) if low >= 1 else 0.0
    highest = histogram.at_rank_us(high) * (1 + RELATIVE_ERROR) if high <= n else math.inf
    return histogram.percentile_us(100 * share), lowest, highest


def _row(name: str, title: str, share: float, first: Histogram, second: Histogram) -> Row:
    a, a_low, a_high = quantile_us(first, share)
    b, b_low, b_high = quantile_us(second, share)
    low, high = b_low - a_high, b_high - a_low
    verdict = "equal" if first.buckets_ns() == second.buckets_ns() else "level"
    if low > 0 or high < 0:
        verdict = "worse" if low > 0 else "better"
    note = f"{first.count} and {second.count} timed"
    interval = (low, high) if math.isfinite(low) and math.isfinite(high) else None
    if interval is None:
        note += ", too few for an interval"
    return Row(name, title, "µs", a, b, b - a, interval, False, verdict, note)


def _unlike(a: Summary, b: Summary) -> str:
    kinds = a.get("latency_kind"), b.get("latency_kind")
    if kinds[0] != kinds[1]:
        return f"{kinds[0]} and {kinds[1]}"
    if kinds[0] == "modelled":
        boards = [(summary.get("energy") or {}).get("board") for summary in (a, b)]
        return "" if boards[0] == boards[1] else f"other boards: {boards[0]} and {boards[1]}"
    if a.get("clock") != b.get("clock"):
        return f"other clocks: {a.get('clock')} and {b.get('clock')}"
    hosts = [[(summary.get("host") or {}).get(key) for key in HOST] for summary in (a, b)]
    return "" if hosts[0] == hosts[1] else "other hosts"


def _histogram(which: str, summary: Summary, stage: str) -> Histogram:
    buckets = (summary.get("latency_steady_ns") or {}).get(stage)
    if buckets is None:
        return Histogram()
    try:
        return Histogram.of_buckets_ns(buckets)
    except ValueError as error:
        raise DataError(f"{which}: {error} in latency_steady_ns of {stage}; simulate again") from None
