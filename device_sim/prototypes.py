"""Enrolled labels beside the network's own: when a window belongs to one, and what that does to the probabilities.

All on the int8 embedding of a window, in whole numbers, so that engines with the same bits decide the same:

1. A prototype's score is ``embedding · prototype - max(embedding · reference)`` over the bundle's references, which
   are embeddings of the activities the network knows: how much more the window is like the enrolled one than like
   anything known. 16,384 is a cosine of 1.
2. A window belongs to the prototype that exceeds its threshold by most, if one does.
3. Then its label gets the probability ``w = 1 / (1 + exp(-excess / 819))``, more than one half, and the network's own
   labels share the rest in their old proportions.
4. Else nothing changes: the probabilities are the network's own, and those of all enrolled labels are 0.

So a window without a prototype's say is decided exactly as before the enrolment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.bundle import REFERENCES, Bundle, Prototype
from edgehar.errors import BundleError

UNIT = 128 * 128  # of scores: int8 embeddings have length 128
TEMPERATURE = 0.05 * UNIT  # of the probability in rule 3

Floats = NDArray[np.floating[Any]]
I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class References:
    """Embeddings of activities the network knows, as ``references.npz`` has them.

    Attributes:
        embeddings: ``[R, E]`` int8.
        people: ``[R]`` whose window it is.
    """

    embeddings: NDArray[np.int8]
    people: NDArray[np.int16]


def read_references(bundle: Bundle) -> References:
    """Return the bundle's references.

    Raises:
        BundleError: there are none, or they do not fit its embedding.
    """
    where, embedding = bundle.path / REFERENCES, bundle.manifest.embedding
    if REFERENCES not in bundle.manifest.files or embedding is None:
        raise BundleError(f"{where}: is missing, so there is nothing to enrol against; export the model again")
    arrays = bundle.arrays(REFERENCES)
    none = np.empty(0)
    embeddings, people = arrays.get("embeddings", none), arrays.get("people", none)
    fits = embeddings.dtype == np.int8 and people.ndim == 1 and embeddings.shape == (len(people), embedding.width)
    if not fits or len(np.unique(people)) < 2:
        raise BundleError(
            f"{where}: expected int8 embeddings [R, {embedding.width}] and people [R] of at least two people; "
            "export the model again"
        )
    return References(embeddings, people.astype(np.int16))


def similarity(embeddings: NDArray[Any], vectors: NDArray[Any]) -> I64:
    """Return ``[N, P]`` products of embeddings ``[N, E]`` and vectors ``[P, E]``, both int8.

    Computed in float64, where whole numbers below 2^53 are exact in any order of adding them up.
    """
    return (embeddings.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.int64)


class Prototypes:
    """The enrolled labels of one bundle.

    Args:
        enrolled: at least one.
        references: ``[R, E]`` int8 embeddings of known activities, at least one.
    """

    def __init__(self, enrolled: Sequence[Prototype], references: NDArray[np.int8]) -> None:
        labels = list(dict.fromkeys(prototype.label for prototype in enrolled))
        self._labels = len(labels)
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
        blended = np.zeros((len(probabilities), probabilities.shape[1] + self._labels), probabilities.dtype)
        blended[:, : probabilities.shape[1]] = probabilities
        for row in np.flatnonzero(over > 0).tolist():
            share = 1 / (1 + math.exp(-int(over[row]) / TEMPERATURE))
            blended[row] *= blended.dtype.type(1 - share)
            blended[row, probabilities.shape[1] + self._column[best[row]]] = share
        return blended
