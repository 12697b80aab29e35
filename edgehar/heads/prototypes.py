"""Arithmetic of enrolled labels: whole numbers and float32 in a fixed order, the same in the simulator and in C.

Scores are products of two int8 embeddings, whose length is 128, so 16,384 is a cosine of 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNIT = 128 * 128
TEMPERATURE = 0.05 * UNIT  # of the probability of an enrolled label
MARGIN = 0.05  # cosine that an enrolment adds to its threshold
FEWEST_WINDOWS = 3  # of an enrolment
LONGEST = 127  # length of a prototype
FINE = 256  # scores that the second table of powers tells apart
MOST = 128 * FINE - 1  # a cosine of 2; more over the threshold counts as that

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


def similarity(embeddings: NDArray[Any], vectors: NDArray[Any]) -> I64:
    """Return ``[N, P]`` products of embeddings ``[N, E]`` and vectors ``[P, E]``, both int8.

    Computed in float64, where whole numbers below 2^53 are exact in any order of adding them up.
    """
    return (embeddings.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.int64)


def power_tables() -> tuple[F32, F32]:
    """Return ``exp(-256 i / 819.2)`` for i below 128 and ``exp(-i / 819.2)`` for i below 256."""
    coarse, fine = (
        np.array([math.exp(-step * i / TEMPERATURE) for i in range(count)], np.float32)
        for step, count in ((FINE, (MOST + 1) // FINE), (1, FINE))
    )
    return coarse, fine


COARSE_POWERS, FINE_POWERS = power_tables()


def share(over: int) -> tuple[np.float32, np.float32]:
    """Return ``1 / (1 + exp(-over / 819.2))``, more than one half, and what it leaves of 1.

    Args:
        over: by how much a score is over its threshold, at least 1.
    """
    coarse, fine = divmod(min(over, MOST), FINE)
    power = np.float32(COARSE_POWERS[coarse] * FINE_POWERS[fine])
    part = np.float32(np.float32(1) / (np.float32(1) + power))
    return part, np.float32(power * part)


def direction(sums: NDArray[np.integer[Any]]) -> NDArray[np.int8] | None:
    """Return sums ``[E]`` of embeddings scaled to a length of 127 and rounded, halves away from zero; None of zeros."""
    whole = [int(value) for value in sums.tolist()]
    squares = sum(value * value for value in whole)
    if squares == 0:
        return None
    sizes = [(math.isqrt((2 * LONGEST * value) ** 2 // squares) + 1) // 2 for value in whole]
    return np.array([size if value > 0 else -size for size, value in zip(sizes, whole, strict=True)], np.int8)


def strangers(embeddings: NDArray[np.int8], people: NDArray[np.integer[Any]]) -> I64:
    """Return ``[R]``: how much each embedding ``[R, E]`` is like the most similar one of another person.

    Args:
        embeddings: of at least two people.
        people: ``[R]`` whose it is.
    """
    alike = similarity(embeddings, embeddings)
    alike[people[:, None] == people] = -(2**62)
    most: I64 = alike.max(axis=1)
    return most


def highest_score(vector: NDArray[np.int8], embeddings: NDArray[np.int8], rivals: I64) -> int:
    """Return the largest score of a reference, at least 0, when only ``rivals`` of :func:`strangers` are known."""
    scores = similarity(embeddings, vector[None])[:, 0] - rivals
    return max(0, int(scores.max()))
