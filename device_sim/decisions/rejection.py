"""Decisions that name no activity: ``uncertain``, because none is probable enough, or ``unknown``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions.numbers import Floats, Labels
from edgehar.decision_spec import REJECTIONS, UNCERTAIN, UNKNOWN_ACTIVITY, DecisionSpec


class Rejection:
    """Replaces the labels of decisions by those that come after all others.

    Source of the threshold on the probability: Chow, On optimum recognition error and reject tradeoff, IEEE Trans.
    Inf. Theory 16(1), 1970.

    Args:
        spec: the threshold, and how long ago the windows are that decisions are about.
        labels: announced; the first rejection is the label of this index.
    """

    def __init__(self, spec: DecisionSpec, labels: int) -> None:
        self._least = spec.uncertain_below
        self._delay = spec.delay
        self._uncertain, self._unknown = (labels + REJECTIONS.index(name) for name in (UNCERTAIN, UNKNOWN_ACTIVITY))
        self.reset()

    def reset(self) -> None:
        """Forget the windows that decisions are still to come about."""
        self._waiting = np.zeros(0, np.bool_)

    def update(self, labels: Labels, probabilities: Floats, unknown: NDArray[np.bool_] | None) -> Labels:
        """Return the labels ``[N]`` with those rejected replaced.

        Args:
            labels: of decisions.
            probabilities: ``[N, K]`` after smoothing.
            unknown: ``[N]`` whether each window is; of the newest window, not of the one a decision is about.
        """
        if self._least:
            sure = probabilities[np.arange(len(labels)), labels] >= probabilities.dtype.type(self._least)
            labels = np.where(sure, labels, np.int16(self._uncertain))
        if unknown is not None:
            kept = np.concatenate([self._waiting, unknown])  # of the windows from the one last decided about
            about = np.maximum(np.arange(len(self._waiting), len(kept)) - self._delay, 0)
            labels = np.where(kept[about], np.int16(self._unknown), labels)
            self._waiting = kept[max(0, len(kept) - self._delay) :]
        return labels
