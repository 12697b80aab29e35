"""Vote of the last windows."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np

from device_sim.decisions.numbers import Floats, Labels
from edgehar.decision_spec import DecisionSpec


class MajoritySmoothing:
    """Vote of the last ``strength`` windows; of equals, the one voted for last. Probabilities are vote shares."""

    def __init__(self, spec: DecisionSpec, labels: int) -> None:
        self._votes: deque[int] = deque(maxlen=int(spec.strength))

    def reset(self) -> None:
        """Forget the past."""
        self._votes.clear()

    def update(self, probabilities: Floats) -> tuple[Labels, Floats]:
        """Return labels and vote shares."""
        labels = np.empty(len(probabilities), np.int16)
        shares = np.zeros_like(probabilities)
        for i, vote in enumerate(probabilities.argmax(axis=1).tolist()):
            self._votes.append(vote)
            counts = Counter(reversed(self._votes))  # newest first, and most_common keeps that order among equals
            labels[i] = counts.most_common(1)[0][0]
            for label, count in counts.items():
                shares[i, label] = count / len(self._votes)
        return labels, shares
