"""Enrolled labels beside the network's own: when a window belongs to one, and what that does to the probabilities.

All on the int8 embedding of a window, in whole numbers and float32 tables, so that engines with the same bits, and the
firmware, decide the same:

1. A prototype's score is ``embedding · prototype - max(embedding · reference)`` over the bundle's references, which
   are embeddings of the activities the network knows: how much more the window is like the enrolled one than like
   anything known. 16,384 is a cosine of 1.
2. A window belongs to the prototype that exceeds its threshold by most, if one does.
3. Then its label gets the probability ``w = 1 / (1 + exp(-excess / 819.2))``, more than one half, and the network's
   own labels share the rest in their old proportions.
4. Else nothing changes: the probabilities are the network's own, and those of all enrolled labels are 0.

So a window without a prototype's say is decided exactly as before the enrolment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.heads.prototypes import share, similarity
from edgehar.manifest import Prototype

Floats = NDArray[np.floating[Any]]
I64 = NDArray[np.int64]


class Prototypes:
    """The enrolled labels of one bundle.

    Args:
        enrolled: at least one.
        references: ``[R, E]`` int8 embeddings of known activities, at least one.

    Attributes:
        labels: M, how many there are.
    """

    def __init__(self, enrolled: Sequence[Prototype], references: NDArray[np.int8]) -> None:
        labels = list(dict.fromkeys(prototype.label for prototype in enrolled))
        self.labels = len(labels)
        self._column = np.array([labels.index(prototype.label) for prototype in enrolled])
        self._vectors = np.array([prototype.vector for prototype in enrolled], np.int8)
        self._thresholds = np.array([prototype.threshold for prototype in enrolled], np.int64)
        self._references = references

    def excess(self, embeddings: NDArray[np.int8]) -> I64:
        """Return ``[N, P]``: by how much each window's score of each prototype is over its threshold."""
        rival = similarity(embeddings, self._references).max(axis=1, keepdims=True)
        over: I64 = similarity(embeddings, self._vectors) - rival - self._thresholds
        return over

    def blend(self, probabilities: Floats, embeddings: NDArray[np.int8]) -> Floats:
        """Return probabilities ``[N, K + M]`` of the network's K labels ``[N, K]`` and the M enrolled ones."""
        excess = self.excess(embeddings)
        best = excess.argmax(axis=1)
        over = excess[np.arange(len(excess)), best]
        blended = np.zeros((len(probabilities), probabilities.shape[1] + self.labels), probabilities.dtype)
        blended[:, : probabilities.shape[1]] = probabilities
        for row in np.flatnonzero(over > 0).tolist():
            part, rest = share(int(over[row]))
            blended[row] *= rest
            blended[row, probabilities.shape[1] + self._column[best[row]]] = part
        return blended
