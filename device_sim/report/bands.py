"""Runs of equal labels and their SVG paths: thousands of decisions as a handful of nodes.

All x coordinates are integers on 0..``GRID``, so a chart stretches to any width without rounding gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

GRID = 10_000


@dataclass(frozen=True, eq=False)
class Runs:
    """Stretches of one label. ``label`` ``[R]``; ``start`` and ``end`` ``[R]`` seconds, end exclusive."""

    label: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]


def merge(labels: NDArray[np.integer], edges: NDArray[np.float64]) -> Runs:
    """Merge neighbours of equal label; label i holds from ``edges[i]`` to ``edges[i + 1]`` seconds."""
    if len(labels) == 0:
        return Runs(np.empty(0, np.int64), np.empty(0), np.empty(0))
    first = np.flatnonzero(np.concatenate(([True], labels[1:] != labels[:-1])))
    stop = np.append(first[1:], len(labels))
    return Runs(labels[first].astype(np.int64), edges[first], edges[stop])


def bounded(labels: NDArray[np.integer], edges: NDArray[np.float64], most: int) -> Runs:
    """Merge like :func:`merge`; above ``most`` runs, show the commonest label of each of ``most`` equal groups."""
    runs = merge(labels, edges)
    if len(runs.label) <= most:
        return runs
    cuts = np.linspace(0, len(labels), most + 1).astype(np.int64)
    low = int(labels.min())
    commonest = np.array([np.bincount(labels[a:b] - low).argmax() + low for a, b in pairwise(cuts)])
    return merge(commonest, edges[cuts])


def grid(seconds: NDArray[np.float64], duration_s: float) -> NDArray[np.int64]:
    """Return seconds as whole grid steps of a recording ``duration_s`` long."""
    return np.clip(np.rint(seconds / duration_s * GRID), 0, GRID).astype(np.int64)


def band_paths(runs: Runs, duration_s: float, height: int, classes: int) -> str:
    """Return one ``<path class="cI">`` a label that occurs, all its runs in it; label -1 stays empty."""
    x0, x1 = grid(runs.start, duration_s), grid(runs.end, duration_s)
    x1 = np.maximum(x1, x0 + 1)
    paths = []
    for label in range(classes):
        mine = runs.label == label
        if mine.any():
            shape = "".join(f"M{a} 0h{b - a}v{height}H{a}z" for a, b in zip(x0[mine], x1[mine], strict=True))
            paths.append(f'<path class="c{label}" d="{shape}"/>')
    return "".join(paths)


def mark_path(runs: Runs, duration_s: float, height: int, narrowest: int) -> str:
    """Return the path of the runs labelled 1, each at least ``narrowest`` steps wide so that none is lost."""
    x0, x1 = grid(runs.start, duration_s), grid(runs.end, duration_s)
    mine = runs.label == 1
    return "".join(f"M{a} 0h{max(b - a, narrowest)}v{height}H{a}z" for a, b in zip(x0[mine], x1[mine], strict=True))


def area_path(values: NDArray[np.float64], edges: NDArray[np.float64], duration_s: float, most: int) -> str:
    """Return a step area of ``values`` (0..1) on a height of 100, dips kept when there are more than ``most``."""
    if len(values) == 0:
        return ""
    if len(values) > most:
        cuts = np.linspace(0, len(values), most + 1).astype(np.int64)
        values, edges = np.minimum.reduceat(values, cuts[:-1]), edges[cuts]
    y = np.clip(100 - np.rint(100 * np.nan_to_num(values)), 0, 100).astype(np.int64)
    runs = merge(y, edges)
    x0, x1 = grid(runs.start, duration_s), grid(runs.end, duration_s)
    steps = "".join(f"V{level}H{b}" for level, b in zip(runs.label, x1, strict=True))
    return f"M{x0[0]} 100{steps}V100z"
