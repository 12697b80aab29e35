"""Exponential moving average of the probabilities."""

from __future__ import annotations

import numpy as np

from device_sim.decisions.numbers import Floats, Labels
from edgehar.decision_spec import DecisionSpec


class EmaSmoothing:
    """``p = strength * p + (1 - strength) * new``; starts with the first decision.

    Source: Brown, Statistical Forecasting for Inventory Control (1959), simple exponential smoothing.
    """

    def __init__(self, spec: DecisionSpec, labels: int) -> None:
        self.strength = spec.strength
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._mean: Floats | None = None

    def update(self, probabilities: Floats) -> tuple[Labels, Floats]:
        """Return labels and averaged probabilities."""
        out = np.empty_like(probabilities)
        fresh = probabilities * (1.0 - self.strength)
        mean = self._mean
        for i in range(len(out)):
            mean = probabilities[i] if mean is None else mean * self.strength + fresh[i]
            out[i] = mean
        if mean is not None:
            self._mean = mean.copy()
        return out.argmax(axis=1).astype(np.int16), out
