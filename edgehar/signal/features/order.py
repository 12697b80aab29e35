"""Order statistics of a series: members of the window itself, without interpolation."""

from __future__ import annotations

import numpy as np

from edgehar.signal.features.series import F32, Layout, Series


def names(layout: Layout) -> tuple[str, ...]:
    """Names of :func:`compute`'s features."""
    return tuple(f"{feature}_{s}" for feature in ("min", "q25", "median", "q75", "max") for s in layout.series)


def compute(series: Series) -> F32:
    """Return ``[5 S, N]``: the sorted series at 0, T/4, T/2, 3T/4 (rounded down) and T-1.

    Any sort gives them; 0 is added to each, which turns -0 into +0, since equal zeros have no order.
    """
    count = series.layout.window
    places = [0, count // 4, count // 2, 3 * count // 4, count - 1]
    chosen = np.partition(series.x, places, axis=0)[places] + np.float32(0)
    return chosen.reshape(-1, chosen.shape[-1])
