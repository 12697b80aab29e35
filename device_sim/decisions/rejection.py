"""Decisions that name no activity: ``uncertain``, because none is probable enough."""

from __future__ import annotations

import numpy as np

from device_sim.decisions.numbers import Floats, Labels
from edgehar.decision_spec import DecisionSpec


class Rejection:
    """Replaces the label of a decision that is not sure enough by the one after all others.

    Source: Chow, On optimum recognition error and reject tradeoff, IEEE Trans. Inf. Theory 16(1), 1970.

    Args:
        spec: the threshold.
        labels: announced; ``uncertain`` is the label of this index.
    """

    def __init__(self, spec: DecisionSpec, labels: int) -> None:
        self._least = spec.uncertain_below
        self._uncertain = labels

    def update(self, labels: Labels, probabilities: Floats) -> Labels:
        """Return the labels ``[N]`` with those rejected replaced; probabilities ``[N, K]`` after smoothing."""
        if not self._least:
            return labels
        sure = probabilities[np.arange(len(labels)), labels] >= probabilities.dtype.type(self._least)
        return np.where(sure, labels, np.int16(self._uncertain))
