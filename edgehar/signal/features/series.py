"""The series of a window in the layout that all feature families share, and the one way sums are formed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgehar.signal.signed_log import signed_log

F32 = NDArray[np.float32]

LIMIT = np.float32(1e6)  # larger columns saturate, so that no square or product of sums overflows
AMPLITUDE = np.float32(0.005)  # where the logarithm of an amplitude bends, as in the front end (g; rad/s near it)
TINY = np.float32(1e-9)  # added to denominators: above the rounding of a constant window, below any real one


@dataclass(frozen=True)
class Layout:
    """What the series are.

    Attributes:
        window: samples T.
        columns: names of the window's columns.
        groups: columns (indices) whose magnitude is a further series, and whose pairs are correlated.
    """

    window: int
    columns: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the columns, then of the magnitudes: ``norm_`` and the first member without its axis."""
        return (*self.columns, *(f"norm_{self.columns[group[0]].removesuffix('_x')}" for group in self.groups))

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs of columns within each group."""
        return tuple((a, b) for group in self.groups for i, a in enumerate(group) for b in group[i + 1 :])


@dataclass(frozen=True, eq=False)
class Series:
    """S series of T samples for N windows, time first: every operation is elementwise over ``[S, N]``.

    Attributes:
        layout: names and groups.
        x: ``[T, S, N]``.
        mean: ``[S, N]``, ``sum(x) * (1/T)``.
        centred: ``[T, S, N]``, ``x - mean``.
        square_sum: ``[S, N]``, ``sum(centred * centred)``.
    """

    layout: Layout
    x: F32
    mean: F32
    centred: F32
    square_sum: F32


def fold_sum(terms: F32) -> F32:
    """Return the sum over the first axis, and overwrite ``terms``.

    The order is defined and the same for any batch: with ``n`` terms left and ``h = (n + 1) / 2`` rounded down, term
    ``i`` takes up term ``h + i`` for ``i < n - h``; then ``n = h``, until one is left. In C::

        for (n = T; n > 1; n = h) { h = (n + 1) / 2; for (i = 0; i < n - h; i++) v[i] += v[h + i]; }
    """
    count = len(terms)
    while count > 1:
        half = (count + 1) // 2
        terms[: count - half] += terms[half:count]
        count = half
    total: F32 = terms[0]
    return total


def logarithm(amplitude: F32) -> F32:
    """Return ``ln(1 + amplitude / 0.005)`` for amplitudes >= 0, by :func:`edgehar.signal.signed_log`."""
    return signed_log(np.ascontiguousarray(amplitude), np.float32(1) / AMPLITUDE)


def make_series(layout: Layout, windows: F32) -> Series:
    """Return the series of windows ``[N, T, C]``.

    Columns are clamped to ±1e6; a magnitude is ``sqrt((a*a + b*b) + c*c)`` in the order of its group.
    """
    columns = np.ascontiguousarray(np.moveaxis(windows, 0, -1), np.float32)
    columns = np.clip(columns, -LIMIT, LIMIT)
    norms = []
    for group in layout.groups:
        squares = [columns[:, i] * columns[:, i] for i in group]
        total = squares[0]
        for square in squares[1:]:
            total = total + square
        norms.append(np.sqrt(total))
    x = np.concatenate([columns, *(norm[:, None] for norm in norms)], axis=1)
    mean = fold_sum(x.copy()) * np.float32(1 / layout.window)
    centred = x - mean
    return Series(layout, x, mean, centred, fold_sum(centred * centred))
