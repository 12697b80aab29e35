"""Latency of every stage, kept whole: histograms of bounded size and at most 0.8 % relative error, exact maxima.

Buckets are logarithmic with 64 linear steps an octave, as in HdrHistogram (Tene), so an hour and a week of samples
take the same memory and p99.9 is as sharp as p50.
"""

from __future__ import annotations

import math
import time
from typing import Any

STEPS = 64  # a bucket is at most 1/64 of its value wide; its middle is at most 1/128 away from what fell into it
STEP_BITS = 6
OCTAVES = 40  # up to 2^46 ns, 19 hours
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}
RELATIVE_ERROR = 1 / (2 * STEPS)

clock_ns = time.perf_counter_ns


class Histogram:
    """Counts of durations in nanoseconds."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all."""
        self._counts = [0] * (STEPS * (OCTAVES + 2))
        self.count = 0
        self.max_ns = 0

    def record(self, ns: int) -> None:
        """Add one duration; below zero (a clock stepped back) counts as zero."""
        if ns > self.max_ns:
            self.max_ns = ns
        elif ns < 0:
            ns = 0
        self.count += 1
        octave = ns.bit_length() - STEP_BITS - 1
        if octave <= 0:
            self._counts[ns] += 1
        elif octave <= OCTAVES:
            self._counts[(octave << STEP_BITS) + (ns >> octave)] += 1
        else:
            self._counts[-1] += 1

    def percentile_us(self, percent: float) -> float:
        """Return the smallest duration that ``percent`` of all do not exceed, in µs; 0 when there is none.

        Within ``RELATIVE_ERROR``, plus half a nanosecond.
        """
        if self.count == 0:
            return 0.0
        rank = max(1, math.ceil(round(percent * self.count / 100, 6)))  # nearest-rank definition
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                low, high = _edges_ns(index)
                return min((low + high - 1) / 2, self.max_ns) / 1000
        raise AssertionError("counts do not add up")

    def summary_us(self) -> dict[str, float]:
        """Return ``p50, p90, p99, p999, max`` in µs and ``count``."""
        figures: dict[str, float] = {name: round(self.percentile_us(p), 3) for name, p in PERCENTILES.items()}
        return {**figures, "max": self.max_ns / 1000, "count": self.count}

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

    Attributes:
        deadline_misses: pushes longer than the sample period.
        deadline_misses_hop: pushes longer than the hop.
    """

    def __init__(self, sample_period_s: float, hop_period_s: float, deadline_stage: str = "total") -> None:
        if deadline_stage not in STAGES:
            raise ValueError(f"deadline_stage {deadline_stage!r}, expected one of {', '.join(STAGES)}")
        self.sample_period_ns = round(sample_period_s * 1e9)
        self.hop_period_ns = round(hop_period_s * 1e9)
        self.deadline_stage = deadline_stage
        self.stages = {name: Histogram() for name in STAGES}
        self.deadline_misses = 0
        self.deadline_misses_hop = 0

    def reset(self) -> None:
        """Forget all."""
        for histogram in self.stages.values():
            histogram.reset()
        self.deadline_misses = self.deadline_misses_hop = 0

    def record_push(self, stage: str, ns: int) -> None:
        """Add a whole push (``total``) or response; compares it with both periods when it is the deadline's stage."""
        self.stages[stage].record(ns)
        if stage == self.deadline_stage and ns > self.sample_period_ns:
            self.deadline_misses += 1
            if ns > self.hop_period_ns:
                self.deadline_misses_hop += 1

    def summary_us(self) -> dict[str, dict[str, float]]:
        """Return ``{stage: {p50, p90, p99, p999, max, count}}`` of the stages that were seen."""
        return {name: h.summary_us() for name, h in self.stages.items() if h.count}

    def histograms_us(self) -> dict[str, dict[str, Any]]:
        """Return ``{stage: {edges, counts}}`` of the stages that were seen."""
        return {name: h.compact_us() for name, h in self.stages.items() if h.count}
