"""Samples with their own time stamps to a steady rate, causally: linear interpolation between neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


class LinearResampler:
    """Turns time-stamped samples into samples at ``k / rate_hz`` after the first stamp.

    A grid point is emitted as soon as the first sample at or after it has come in, so nothing later is needed.
    Any chunking gives the same output.
    """

    def __init__(self, rate_hz: float) -> None:
        if not (np.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz is {rate_hz}, expected a positive number")
        self.rate_hz = rate_hz
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next stamp is time zero."""
        self._origin_s: float | None = None
        self._last_t_s = 0.0
        self._last: F32 | None = None
        self._next = 0

    def push(self, t_s: NDArray[np.float64], x: F32) -> F32:
        """Return the grid samples ``[M, C]`` completed by ``x`` ``[N, C]`` at the stamps ``t_s`` ``[N]`` (seconds).

        Raises:
            ValueError: stamps do not increase strictly; names the first such row.
        """
        t = np.asarray(t_s, np.float64)
        x = np.asarray(x, np.float32)
        if t.shape != x.shape[:1]:
            raise ValueError(f"{t.shape} time stamps for {x.shape} samples, expected one a sample")
        if len(t) == 0:
            return x
        if self._origin_s is None:
            self._origin_s = float(t[0])
        else:
            assert self._last is not None
            t = np.concatenate([[self._last_t_s], t])
            x = np.concatenate([self._last[None], x])
        step = np.diff(t)
        if not (step > 0).all():
            row = int(np.argmin(step > 0))
            raise ValueError(
                f"time stamps must increase: {t[row]:.6f} s is followed by {t[row + 1]:.6f} s (row {row + 1})"
            )
        last_index = int(np.floor((t[-1] - self._origin_s) * self.rate_hz + 1e-9))
        grid = self._origin_s + np.arange(self._next, last_index + 1) / self.rate_hz
        right = np.clip(np.searchsorted(t, grid, side="left"), 1 if len(t) > 1 else 0, len(t) - 1)
        left = np.maximum(right - 1, 0)
        span = np.where(right > left, t[right] - t[left], 1.0)
        weight = np.clip((grid - t[left]) / span, 0.0, 1.0).astype(np.float32)[:, None]
        out = x[left] + weight * (x[right] - x[left])
        self._next = max(self._next, last_index + 1)
        self._last_t_s, self._last = float(t[-1]), x[-1].copy()
        return out.astype(np.float32)


def resample(x: F32, from_hz: float, to_hz: float) -> F32:
    """Return ``x`` ``[T, C]`` recorded at ``from_hz``, linearly interpolated to ``to_hz``.

    No anti-alias filter: put a low-pass ``Biquad`` before it when ``from_hz`` is far above ``to_hz``.
    """
    return LinearResampler(to_hz).push(np.arange(len(x)) / from_hz, x)
