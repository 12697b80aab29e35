"""The lower part of a series' spectrum, by a small DFT from a table."""

from __future__ import annotations

import functools
import math

import numpy as np

from edgehar.signal.features.series import F32, TINY, Layout, Series, fold_sum, logarithm
from edgehar.signal.signed_log import signed_log

MOST_BANDS = 5  # octaves; 31 bins, up to 12 Hz for 128 samples at 50 Hz
SMALLEST_SHARE = np.float32(1e-6)


def bands(window: int) -> int:
    """Return how many octaves fit under half the sample rate; octave ``b`` has the bins ``2^b .. 2^(b+1) - 1``."""
    return min(MOST_BANDS, (window // 2).bit_length() - 1)


def names(layout: Layout) -> tuple[str, ...]:
    """Names of :func:`compute`'s features."""
    octaves = (f"log_band{b}" for b in range(bands(layout.window)))
    return tuple(f"{feature}_{s}" for feature in (*octaves, "peak_bin", "entropy") for s in layout.series)


@functools.cache
def tables(window: int) -> F32:
    """Return ``[2, T, K]``: cosines, then sines, of ``2 pi k t / T`` for the bins k = 1..K, rounded from float64."""
    bins = range(1, 2 ** bands(window))
    angles = [[2 * math.pi * (k * t % window) / window for k in bins] for t in range(window)]
    return np.array([[[f(a) for a in row] for row in angles] for f in (math.cos, math.sin)], np.float32)


def compute(series: Series) -> F32:
    """Return ``[(B + 2) S, N]``: amplitude of B octaves, strongest bin, entropy over the bins.

    With ``c = x - mean`` and the tables ``cos[t][k]``, ``sin[t][k]``, for bins ``k = 1..K``, ``K = 2^B - 1``::

        p[k]      = sum(c[t] * cos[t][k])² + sum(c[t] * sin[t][k])²
        log_bandb = ln(1 + sqrt(sum(p[k], bins of octave b)) * (2/T) / 0.005)
        peak_bin  = (first k with the largest p[k]) * (1/K)
        s[k]      = max(p[k] / (sum(p) + 1e-9), 1e-6)
        entropy   = sum(s[k] * ln(1 + (1/s[k] - 1)))                 = -sum(s ln s)

    All sums are :func:`fold_sum` in the order of t or k. A series without power has entropy K * 1e-6 * ln(1e6).
    """
    count, octaves = series.layout.window, bands(series.layout.window)
    power = None
    for table in tables(count):
        part = fold_sum(series.centred[:, None] * table[:, :, None, None])
        part = part * part
        power = part if power is None else power + part
    assert power is not None
    scale = np.float32(2 / count)
    amplitudes = [
        logarithm(np.sqrt(fold_sum(power[2**b - 1 : 2 ** (b + 1) - 1].copy())) * scale) for b in range(octaves)
    ]
    peak = (power.argmax(axis=0) + 1).astype(np.float32) * np.float32(1 / len(power))
    share: F32 = np.maximum(power / (fold_sum(power.copy()) + TINY), SMALLEST_SHARE)
    one = np.float32(1)
    odds: F32 = one / share - one
    entropy = fold_sum(share * signed_log(odds, one))
    return np.concatenate([*amplitudes, peak, entropy])
