"""Latency of every stage, kept whole: histograms of bounded size and at most 0.8 % relative error, exact maxima.

Buckets are logarithmic with 64 linear steps an octave, as in HdrHistogram (Tene), so an hour and a week of samples
take the same memory and p99.9 is as sharp as p50. Histograms can be added, and written down and read without loss.

The first decisions after the start find cold caches and lazy libraries. They are part of all figures, and are kept
apart besides, so that what a device does for the rest of its day can be told from how it starts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

STEPS = 64  # a bucket is at most 1/64 of its value wide; its middle is at most 1/128 away from what fell into it
STEP_BITS = 6
OCTAVES = 40  # up to 2^46 ns, 19 hours
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}
RELATIVE_ERROR = 1 / (2 * STEPS)

WARM_UP_DECISIONS = 8  # by then a decision takes what it takes after a thousand, for all engines we have

clock_ns = time.perf_counter_ns


class Histogram:
    """Counts of durations in nanoseconds.

    Attributes:
        count: how many.
        max_ns: the longest, exact.
        total_ns: their sum, exact.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all."""
        self._counts = [0] * (STEPS * (OCTAVES + 2))
        self.count = 0
        self.max_ns = 0
        self.total_ns = 0

    def record(self, ns: int, times: int = 1) -> None:
        """Add a duration, once or more often; below zero (a clock stepped back) counts as zero."""
        if ns > self.max_ns:
            self.max_ns = ns
        elif ns < 0:
            ns = 0
        self.count += times
        self.total_ns += ns * times
        octave = ns.bit_length() - STEP_BITS - 1
        if octave <= 0:
            self._counts[ns] += times
        elif octave <= OCTAVES:
            self._counts[(octave << STEP_BITS) + (ns >> octave)] += times
        else:
            self._counts[-1] += times

    def add(self, other: Histogram) -> None:
        """Take in all that another has seen."""
        self._counts = [mine + its for mine, its in zip(self._counts, other._counts, strict=True)]
        self.count += other.count
        self.total_ns += other.total_ns
        self.max_ns = max(self.max_ns, other.max_ns)

    def percentile_us(self, percent: float) -> float:
        """Return the smallest duration that ``percent`` of all do not exceed, in µs; 0 when there is none.

        Within ``RELATIVE_ERROR``, plus half a nanosecond.
        """
        if self.count == 0:
            return 0.0
        return self.at_rank_us(max(1, math.ceil(round(percent * self.count / 100, 6))))  # nearest-rank definition

    def at_rank_us(self, rank: int) -> float:
        """Return the duration that is the ``rank``-th of ``count``, the shortest being the first; same error.

        Raises:
            ValueError: there are not so many.
        """
        if not 1 <= rank <= self.count:
            raise ValueError(f"rank {rank} of {self.count} durations")
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                low, high = _edges_ns(index)
                return min((low + high - 1) / 2, self.max_ns) / 1000
        raise AssertionError("counts do not add up")

    def summary_us(self) -> dict[str, float]:
        """Return ``p50, p90, p99, p999, max, mean`` in µs and ``count``."""
        figures: dict[str, float] = {name: round(self.percentile_us(p), 3) for name, p in PERCENTILES.items()}
        mean = round(self.total_ns / 1000 / self.count, 3) if self.count else 0.0
        return {**figures, "max": self.max_ns / 1000, "mean": mean, "count": self.count}

    def buckets_ns(self) -> dict[str, Any]:
        """Return all that it knows: ``lows`` and ``counts`` of the buckets that are not empty, ``max`` and ``total``.

        A bucket reaches from its low to the next multiple of 2^k above it, where 2^k is 1/64 of the power of two that
        is at most the low, and at least 1.
        """
        used = [i for i, count in enumerate(self._counts) if count]
        lows, counts = [_edges_ns(i)[0] for i in used], [self._counts[i] for i in used]
        return {"lows": lows, "counts": counts, "max": self.max_ns, "total": self.total_ns}

    @classmethod
    def of_buckets_ns(cls, buckets: Mapping[str, Any]) -> Histogram:
        """Return the histogram that :meth:`buckets_ns` wrote.

        Raises:
            ValueError: it is no such record.
        """
        found = cls()
        try:
            pairs = list(zip(buckets["lows"], buckets["counts"], strict=True))
            top, total = buckets["max"], buckets["total"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"latency buckets are malformed ({error!r})") from None
        edges = {_edges_ns(i)[0]: i for i in range(len(found._counts))}
        for low, count in pairs:
            if low not in edges or not isinstance(count, int) or count < 1:
                raise ValueError(f"latency buckets are malformed: {count!r} durations of {low!r} ns")
            found._counts[edges[low]] += count
        if not (isinstance(top, int) and isinstance(total, int) and top >= max((low for low, _ in pairs), default=0)):
            raise ValueError(f"latency buckets are malformed: longest {top!r} ns, sum {total!r} ns")
        found.count, found.max_ns, found.total_ns = sum(count for _, count in pairs), top, total
        return found

    def compact_us(self, steps: int = 8) -> dict[str, list[float]]:
        """Return ``edges`` (µs, one more than counts) and ``counts`` with ``steps`` buckets an octave, ends trimmed."""
        group = STEPS // steps
        sums = [sum(self._counts[i : i + group]) for i in range(0, len(self._counts), group)]
        used = [i for i, count in enumerate(sums) if count]
        if not used:
            return {"edges": [], "counts": []}
        first, last = used[0], used[-1]
        edges = [_edges_ns(i * group)[0] / 1000 for i in range(first, last + 2)]
        return {"edges": edges, "counts": [float(c) for c in sums[first : last + 1]]}


def _edges_ns(index: int) -> tuple[int, int]:
    """Lowest duration of a bucket and lowest of the next."""
    octave = max(0, (index >> STEP_BITS) - 1)
    low = (index - (octave << STEP_BITS)) << octave
    return low, low + (1 << octave)


# in the order a sample meets them
STAGES = {
    "sample": "push of a sample that completes no window",
    "front_end": "filters, scaling and quantization of a hop's samples",
    "engine": "one inference",
    "decision": "softmax, smoothing, debounce",
    "total": "the whole push of a sample that completes a window",
    "response": "from the moment a sample was due to the end of its push (real-time clock only)",
    "wake_up": "how late the host woke for a sample (real-time clock only)",
}


class Telemetry:
    """Histograms of all stages, and deadlines missed.

    Args:
        sample_period_s: a push that takes longer makes the next sample wait.
        hop_period_s: a decision that takes longer makes the next decision wait.
        deadline_stage: what is held against both periods: ``total``, or ``response`` with a real-time clock.
        warm_up_decisions: how many, from the start, are kept apart.

    Attributes:
        stages: what is recorded into now: those of the warm-up, then those of the rest.
        decisions: whole pushes that made one.
        deadline_misses: pushes longer than the sample period.
        deadline_misses_hop: pushes longer than the hop.
    """

    def __init__(
        self,
        sample_period_s: float,
        hop_period_s: float,
        deadline_stage: str = "total",
        warm_up_decisions: int = WARM_UP_DECISIONS,
    ) -> None:
        if deadline_stage not in STAGES:
            raise ValueError(f"deadline_stage {deadline_stage!r}, expected one of {', '.join(STAGES)}")
        self.sample_period_ns = round(sample_period_s * 1e9)
        self.hop_period_ns = round(hop_period_s * 1e9)
        self.deadline_stage = deadline_stage
        self.warm_up_decisions = warm_up_decisions
        self.warm_up = {name: Histogram() for name in STAGES}
        self.steady = {name: Histogram() for name in STAGES}
        self.reset()

    def reset(self) -> None:
        """Forget all."""
        for histogram in (*self.warm_up.values(), *self.steady.values()):
            histogram.reset()
        self.stages = self.warm_up if self.warm_up_decisions else self.steady
        self.decisions = 0
        self.deadline_misses = 0
        self.deadline_misses_hop = 0

    def record_push(self, stage: str, ns: int) -> None:
        """Add a whole push (``total``) or response; compares it with both periods when it is the deadline's stage."""
        self.stages[stage].record(ns)
        if stage == "total":
            self.decisions += 1
        if stage != self.deadline_stage:
            return
        if ns > self.sample_period_ns:
            self.deadline_misses += 1
            if ns > self.hop_period_ns:
                self.deadline_misses_hop += 1
        if self.decisions == self.warm_up_decisions:
            self.stages = self.steady

    def whole(self, stage: str) -> Histogram:
        """Return warm-up and rest of a stage together."""
        both = Histogram()
        both.add(self.warm_up[stage])
        both.add(self.steady[stage])
        return both

    def busy_ns(self, samples: int) -> float | None:
        """Return the mean time that a period of ``samples`` samples, a hop, keeps the device busy; None if unknown.

        The samples between two decisions count where they were timed.
        """
        total, sample = self.whole("total"), self.whole("sample")
        if not total.count:
            return None
        return total.total_ns / total.count + (samples - 1) * (sample.total_ns / sample.count if sample.count else 0.0)

    def summary_us(self) -> dict[str, dict[str, float]]:
        """Return ``{stage: {p50, p90, p99, p999, max, mean, count}}`` of the stages that were seen."""
        return {name: h.summary_us() for name in STAGES if (h := self.whole(name)).count}

    def histograms_us(self) -> dict[str, dict[str, Any]]:
        """Return ``{stage: {edges, counts}}`` of the stages that were seen."""
        return {name: h.compact_us() for name in STAGES if (h := self.whole(name)).count}
