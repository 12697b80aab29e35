"""How strongly a series repeats itself, and after how long: cadence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgehar.signal.features.series import F32, TINY, Layout, Series, fold_sum

LAG_STEP = 2  # samples; half of the lags find the same period


def names(layout: Layout) -> tuple[str, ...]:
    """Names of :func:`compute`'s features."""
    return tuple(f"{feature}_{s}" for feature in ("repeat", "period") for s in layout.series)


def lags(window: int) -> NDArray[np.intp]:
    """Return the lags that are tried, in samples: from T/8 to T/2, every second."""
    return np.arange(window // 8, window // 2 + 1, LAG_STEP)


def compute(series: Series) -> F32:
    """Return ``[2 S, N]``: the largest autocorrelation and the first lag that has it, as a share of the window.

    With ``c = x - mean`` and ``c[t] = 0`` for ``t >= T``::

        r[l]   = sum(c[t] * c[t + l], t = 0..T-1) / (sum(c²) + 1e-9)
        repeat = max(r),  period = l * (1/T)
    """
    count = series.layout.window
    tried = lags(count)
    padded = np.concatenate([series.centred, np.zeros((count, *series.centred.shape[1:]), np.float32)])
    products = padded[np.arange(count)[:, None] + tried]
    products *= series.centred[:, None]
    correlation = fold_sum(products) / (series.square_sum + TINY)
    best = correlation.argmax(axis=0)
    period = (tried.astype(np.float32) * np.float32(1 / count))[best]
    return np.concatenate([correlation.max(axis=0), period])
