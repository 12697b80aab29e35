"""Which range every activation takes, from what it is over the calibration windows in the float graph.

- ``min_max``: everything that was seen. The default: one clipped walking burst costs more than a coarser step
  (measured on a separable CNN with a moving average of min and max, which clips: 94.75 % of labels kept, not 99.5 %).
- ``percentile``: cut ``TAIL`` of the values at each end.
- ``mse``: the cuts that make the mean square error smallest, of the clipped values and of the step together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ExportError
from firmware_export.affine import activation_quantization, to_integers, to_real
from firmware_export.graph import Graph, Range, assemble
from firmware_export.reference import Windows, activations

TAIL = 1e-4  # share of the values, at each end
BINS = 2048  # of a histogram: eight to a step of int8
CUTS = np.geomspace(1.0, 0.02, 100).tolist()  # of each end, tried for the smallest error: 4 % apart

Counts = NDArray[np.int64]


class RangeRule(StrEnum):
    """How a range follows from the values."""

    MIN_MAX = "min_max"
    PERCENTILE = "percentile"
    MSE = "mse"


def calibrate(graph: Graph, windows: Windows, rule: RangeRule = RangeRule.MIN_MAX) -> Graph:
    """Return the float graph with the range of every activation, the inputs' too; 0 is always inside.

    Args:
        graph: float graph.
        windows: ``[N, T, C]`` float32 of each input as the network sees them in use, training windows.
        rule: anything but min-max runs the windows a second time, for histograms.

    Raises:
        UsageError: the windows do not fit the graph's inputs.
        ExportError: a window, or what the network makes of it, is NaN or infinite.
    """
    ranges = _extremes(graph, windows)
    if rule in CHOICES:
        counts = _histograms(graph, windows, ranges)
        ranges = {name: CHOICES[rule](seen, counts[name]) for name, seen in ranges.items()}
    ranged = [replace(value, range=ranges[value.name]) for value in graph.activations]
    return assemble(graph.inputs, graph.outputs, graph.nodes, [*graph.values.values(), *ranged])


def _extremes(graph: Graph, windows: Windows) -> dict[str, Range]:
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for batch in activations(graph, windows):
        for name, x in batch.items():
            low[name] = float(np.minimum(low.get(name, 0.0), x.min()))
            high[name] = float(np.maximum(high.get(name, 0.0), x.max()))
    for name, lowest in low.items():
        if not (np.isfinite(lowest) and np.isfinite(high[name])):
            raise ExportError(
                f"calibration: {name!r} takes the values {lowest}..{high[name]}, expected finite numbers; "
                "check the calibration windows and the weights for NaN and overflow"
            )
    return {name: Range(lowest, high[name]) for name, lowest in low.items()}


def _histograms(graph: Graph, windows: Windows, ranges: Mapping[str, Range]) -> dict[str, Counts]:
    """Return ``[BINS]`` counts of each activation over its range."""
    counts = {name: np.zeros(BINS, np.int64) for name in ranges}
    for batch in activations(graph, windows):
        for name, x in batch.items():
            seen = ranges[name]
            place = (x.ravel() - seen.low) * (BINS / ((seen.high - seen.low) or 1.0))
            counts[name] += np.bincount(np.clip(place, 0, BINS - 1).astype(np.int64), minlength=BINS)
    return counts


def percentile_range(seen: Range, counts: Counts) -> Range:
    """Return the range without ``TAIL`` of the values at each end, to the width of a bin."""
    edges = np.linspace(seen.low, seen.high, BINS + 1)
    share = np.cumsum(counts) / counts.sum()
    low = edges[int(np.searchsorted(share, TAIL, side="right"))]
    high = edges[int(np.searchsorted(share, 1 - TAIL, side="left")) + 1]
    return Range(min(float(low), 0.0), max(float(high), 0.0))


def mse_range(seen: Range, counts: Counts) -> Range:
    """Return the range with the smallest mean square error in int8: each end cut in turn, twice."""
    if seen.low == seen.high:
        return seen
    edges = np.linspace(seen.low, seen.high, BINS + 1)
    centres = ((edges[:-1] + edges[1:]) / 2).astype(np.float32)

    def error(tried: Range) -> float:
        quant = activation_quantization(tried)
        return float(counts @ np.square(to_real(to_integers(centres, quant), quant) - centres, dtype=np.float64))

    best = seen
    for _ in range(2):
        best = min((Range(best.low, seen.high * cut) for cut in CUTS), key=error)
        best = min((Range(seen.low * cut, best.high) for cut in CUTS), key=error)
    return best


CHOICES: Mapping[RangeRule, Callable[[Range, Counts], Range]] = {
    RangeRule.PERCENTILE: percentile_range,
    RangeRule.MSE: mse_range,
}
