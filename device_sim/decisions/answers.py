"""What heads after the first say: each window by itself, no smoothing, no events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions.numbers import Logits
from device_sim.decisions.probabilities import probabilities_of
from edgehar.heads import decide
from edgehar.manifest import Head


@dataclass(frozen=True, eq=False)
class HeadAnswers:
    """What a head after the first says to consecutive windows, each by itself: no smoothing, no events.

    Attributes:
        outputs: ``[N, K]`` raw logits.
        probabilities: ``[N, K]`` float32: softmax of a multiclass head, else the sigmoid of each logit.
        answers: ``[N, W]`` int16: the class, or 1 (yes, probability at least 0.5) or 0 for each label.
    """

    outputs: Logits
    probabilities: NDArray[np.float32]
    answers: NDArray[np.int16]

    def row(self, index: int) -> HeadAnswers:
        """Return one window as a batch of one."""
        return self.rows(slice(index, index + 1))

    def rows(self, part: slice) -> HeadAnswers:
        """Return some of the windows."""
        return HeadAnswers(self.outputs[part], self.probabilities[part], self.answers[part])


class Answering:
    """Turns the logits of one head after the first into its answers. Keeps nothing from window to window."""

    def __init__(self, head: Head) -> None:
        self._kind, self._zero_point = head.kind, head.quant.zero_point
        self._probabilities = probabilities_of(head.kind, head.quant)

    def __call__(self, outputs: Logits) -> HeadAnswers:
        """Return the answers to windows with logits ``[N, K]``."""
        probabilities = self._probabilities(outputs)
        answers = decide(self._kind, outputs, self._zero_point)
        return HeadAnswers(outputs, probabilities, answers)
