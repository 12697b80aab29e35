"""Windows that are like none of the activities: ``unknown``, whatever the softmax makes of them.

The logits of a window are compared with those of each activity's own windows, by a distance with one mean and one
deviation a logit and activity. Softmax, largest logit and energy look at how large logits are, and a network's logits
are largest for movements beyond all that it was trained on (``docs/results/decisions.md``).

Source: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks,
NeurIPS 2018, equation 2, on the logits and with a diagonal covariance of each class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions.numbers import F32, Logits
from edgehar.decision_spec import Familiar
from edgehar.heads import familiar_tables
from edgehar.signal.quantization import QuantParams


class Unfamiliar:
    """Whether windows are unknown. Keeps nothing from window to window.

    Args:
        familiar: what is known.
        quant: the format of the logits.
    """

    def __init__(self, familiar: Familiar, quant: QuantParams) -> None:
        self._means, self._inverse = familiar_tables(familiar, quant)
        self._most = np.float32(familiar.most)

    def distances(self, outputs: Logits) -> F32:
        """Return the distance ``[N]`` of windows with logits ``[N, K]`` to the label they are nearest to."""
        steps = (outputs.astype(np.float32)[:, None, :] - self._means) * self._inverse
        squares = steps * steps
        total = squares[:, :, 0].copy()
        for column in range(1, squares.shape[2]):
            total += squares[:, :, column]
        nearest: F32 = total.min(axis=1)
        return nearest

    def __call__(self, outputs: Logits) -> NDArray[np.bool_]:
        """Return whether each window ``[N]`` is unknown; one whose logits are no numbers is."""
        known: NDArray[np.bool_] = self.distances(outputs) <= self._most
        return ~known
