"""How a series changes from sample to sample."""

from __future__ import annotations

import numpy as np

from edgehar.signal.features.series import F32, Layout, Series, fold_sum, logarithm


def names(layout: Layout) -> tuple[str, ...]:
    """Names of :func:`compute`'s features."""
    return tuple(f"{feature}_{s}" for feature in ("crossings", "log_jerk") for s in layout.series)


def compute(series: Series) -> F32:
    """Return ``[2 S, N]``: share of steps that cross the mean, and the size of the first difference (jerk).

    With ``w = 1/(T-1)`` in float32, over ``t = 1..T-1``::

        crossings = count((x[t] - mean >= 0) != (x[t-1] - mean >= 0)) * w
        log_jerk  = ln(1 + sqrt(sum((x[t] - x[t-1])²) * w) / 0.005)
    """
    share = np.float32(1 / (series.layout.window - 1))
    above = series.centred >= 0
    crossings = np.count_nonzero(above[1:] != above[:-1], axis=0).astype(np.float32) * share
    step = series.x[1:] - series.x[:-1]
    return np.concatenate([crossings, logarithm(np.sqrt(fold_sum(step * step) * share))])
