"""The sensor samples at another rate than it was asked for, and its stamps say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.taken import Setting, Taken
from edgehar.signal import LinearResampler

if TYPE_CHECKING:
    from numpy.random import Generator


class Rate:
    """Takes samples at ``severity`` times the rate, on the straight lines between those of the recording.

    Args:
        severity: factor, above 0.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        self._rate_hz = setting.rate_hz * severity
        self._resampler = LinearResampler(self._rate_hz)
        self._count = 0
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Return the samples up to the last of these."""
        if len(taken) == 0:
            return taken
        samples = self._resampler.push(taken.true_us / 1e6, taken.samples)
        true_us = np.rint((self._count + np.arange(len(samples))) * 1e6 / self._rate_hz).astype(np.int64)
        self._count += len(samples)
        self.touched += len(samples)
        return Taken(true_us, samples, true_us, np.zeros(len(samples), np.int64))
