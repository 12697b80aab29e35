"""A label is held until another one is more probable by a margin."""

from __future__ import annotations

from device_sim.decisions.numbers import Floats, Labels
from edgehar.decision_spec import DecisionSpec


class Hysteresis:
    """Holds the label decided last against one that leads by no more than ``hysteresis``.

    Source: Schmitt, A thermionic trigger, J. Sci. Instrum. 15, 1938: two thresholds instead of one.
    """

    def __init__(self, spec: DecisionSpec) -> None:
        self._margin = spec.hysteresis
        self.reset()

    def reset(self) -> None:
        """Hold nothing."""
        self._held: int | None = None

    def update(self, labels: Labels, probabilities: Floats) -> Labels:
        """Return the labels ``[N]`` held, of those that smoothing chose and their probabilities ``[N, K]``."""
        if not self._margin:
            return labels
        margin = probabilities.dtype.type(self._margin)
        held = self._held
        out = labels.copy()
        for i, label in enumerate(labels.tolist()):
            row = probabilities[i]
            if held is None or row[label] - row[held] > margin:
                held = label
            out[i] = held
        self._held = held
        return out
