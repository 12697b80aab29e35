"""Where a series lies and how widely it spreads."""

from __future__ import annotations

import numpy as np

from edgehar.signal.features.series import F32, Layout, Series, fold_sum, logarithm


def names(layout: Layout) -> tuple[str, ...]:
    """Names of :func:`compute`'s features."""
    return tuple(f"{feature}_{s}" for feature in ("mean", "log_std", "log_mad") for s in layout.series)


def compute(series: Series) -> F32:
    """Return ``[3 S, N]``: mean, standard deviation, mean absolute deviation, with ``w = 1/T`` in float32.

    ::

        mean    = sum(x) * w
        log_std = ln(1 + sqrt(sum((x - mean)²) * w) / 0.005)
        log_mad = ln(1 + (sum(|x - mean|) * w) / 0.005)
    """
    share = np.float32(1 / series.layout.window)
    deviation = logarithm(np.sqrt(series.square_sum * share))
    absolute = logarithm(fold_sum(np.abs(series.centred)) * share)
    return np.concatenate([series.mean, deviation, absolute])
