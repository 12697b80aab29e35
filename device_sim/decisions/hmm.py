"""Forward filter of a hidden Markov model: what the activity is, given every window so far and the grammar.

The hidden state is the activity, its transitions are the bundle's grammar, and the evidence of a window is the
network's probability of each activity, divided by how common it was in training (a scaled likelihood). With a lag of L
the decision is about the window L decisions ago and uses those after it too.

Source: Rabiner, A Tutorial on Hidden Markov Models, Proc. IEEE 77(2), 1989: equations 19 and 20 (forward), 25
(backward) and 27, scaled at each step as in section V.A. Bourlard & Morgan, Connectionist Speech Recognition, 1994,
chapter 7: posteriors divided by priors as likelihoods. Moore, Discrete-time fixed-lag smoothing algorithms,
Automatica 9(2), 1973.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from device_sim.decisions.numbers import Floats, Labels
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import BundleError

# of the network's own labels: none is ruled out by one window, and no product leaves float32's normal numbers
LEAST_EVIDENCE = 2.0**-40


class HmmSmoothing:
    """The filter. All of it additions, multiplications and divisions in a fixed order, in the type of what comes in."""

    def __init__(self, spec: DecisionSpec, labels: int) -> None:
        if spec.grammar is None:
            raise BundleError("decision smoothing hmm has no grammar; fit one with: edgehar decide BUNDLE")
        self._own = len(spec.grammar.transitions)
        grammar = spec.grammar.extended(labels - self._own)
        self._transitions = np.array(grammar.transitions, np.float32)
        self._rarity = np.array(grammar.rarity, np.float32)
        self._beliefs: deque[Floats] = deque(maxlen=spec.lag + 1)  # forward probabilities, oldest first
        self._evidence: deque[Floats] = deque(maxlen=spec.lag + 1)

    def reset(self) -> None:
        """Forget the past."""
        self._beliefs.clear()
        self._evidence.clear()

    def update(self, probabilities: Floats) -> tuple[Labels, Floats]:
        """Return labels and their probabilities, given the past and, with a lag, what came after."""
        kind = probabilities.dtype
        transitions = self._transitions.astype(kind)
        evidence = probabilities.copy()
        np.maximum(evidence[:, : self._own], kind.type(LEAST_EVIDENCE), out=evidence[:, : self._own])
        evidence *= self._rarity.astype(kind)
        out = np.empty_like(probabilities)
        for i in range(len(out)):
            self._forward(transitions, evidence[i])
            out[i] = self._beliefs[0] if len(self._beliefs) == 1 else self._smoothed(transitions)
        return out.argmax(axis=1).astype(np.int16), out

    def _forward(self, transitions: Floats, evidence: Floats) -> None:
        """Take one more window's evidence ``[K]``."""
        belief = evidence
        if self._beliefs:
            steps = self._beliefs[-1][:, None] * transitions
            belief = np.add.accumulate(steps, axis=0, out=steps)[-1] * evidence  # rows in their order
        self._beliefs.append(_normalised(belief))
        self._evidence.append(evidence)

    def _smoothed(self, transitions: Floats) -> Floats:
        """Return ``[K]`` of the oldest window kept, given all that came after it."""
        later = np.ones_like(self._evidence[0])
        for evidence in list(self._evidence)[:0:-1]:
            steps = transitions * (evidence * later)
            later = _normalised(np.add.accumulate(steps, axis=1, out=steps)[:, -1], self._own)
        return _normalised(self._beliefs[0] * later)


def _normalised(x: Floats, first: int | None = None) -> Floats:
    """Return ``[K]`` divided by the sum of its first numbers, of all by default; added in their order."""
    normalised: Floats = x / np.add.accumulate(x[:first])[-1]
    return normalised
