"""How the axes of one sensor move together."""

from __future__ import annotations

import numpy as np

from edgehar.signal.features.series import F32, TINY, Layout, Series, fold_sum


def names(layout: Layout) -> tuple[str, ...]:
    """Names of :func:`compute`'s features."""
    return tuple(f"correlation_{layout.columns[a]}_{layout.columns[b]}" for a, b in layout.pairs)


def compute(series: Series) -> F32:
    """Return ``[P, N]``, a correlation for each pair of columns of a group.

    With ``c = x - mean``: ``sum(ca * cb) / (sqrt(sum(ca²)) * sqrt(sum(cb²)) + 1e-9)``.
    """
    a, b = np.asarray(series.layout.pairs, np.intp).reshape(-1, 2).T
    length: F32 = np.sqrt(series.square_sum)
    lengths: F32 = length[a] * length[b] + TINY
    return fold_sum(series.centred[:, a] * series.centred[:, b]) / lengths
