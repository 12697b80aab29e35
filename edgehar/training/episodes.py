"""Few-shot episodes: a query, and a few candidates of each of some classes that no training saw.

The answer of an episode is the class whose prototype, the mean of its candidates' embeddings, has the largest cosine
with the query's embedding. With one candidate a class this is "1 query against 5 candidates".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import DataError

I64 = NDArray[np.int64]
ATTEMPTS = 1000  # draws for one episode before the data count as too few


@dataclass(frozen=True, eq=False)
class Episodes:
    """Rows of some set of embeddings.

    Attributes:
        query: ``[N]``.
        support: ``[N, ways, shots]``; of each episode the first way is the query's class.
    """

    query: I64
    support: I64


def draw_episodes(
    classes: I64,
    people: I64,
    *,
    ways: int,
    shots: int,
    count: int,
    rng: np.random.Generator,
    sessions: I64 | None = None,
) -> Episodes:
    """Draw ``count`` episodes; the query's class is uniform over the classes, however many members they have.

    Args:
        classes: ``[N]`` of each row.
        people: ``[N]`` whose row it is.
        ways: classes of an episode.
        shots: support rows of each class.
        count: episodes.
        rng: where chance comes from.
        sessions: ``[N]``; None: support comes from people other than the query's, whoever they are. Given: support
            comes from the query's person in other sessions.

    Raises:
        DataError: there are too few classes, or no episode could be drawn.
    """
    names = np.unique(classes)
    if len(names) < ways:
        raise DataError(f"episodes of {ways} classes, but there are {len(names)}")
    members = {c: np.flatnonzero(classes == c) for c in names.tolist()}
    query, support = np.empty(count, np.int64), np.empty((count, ways, shots), np.int64)
    for episode in range(count):
        for _ in range(ATTEMPTS):
            chosen = rng.permutation(names)[:ways].tolist()
            asked = int(rng.choice(members[chosen[0]]))
            allowed = _allowed(asked, people, sessions)
            rows = [members[c][allowed[members[c]]] for c in chosen]
            if min(map(len, rows)) >= shots:
                query[episode] = asked
                support[episode] = np.stack([rng.choice(row, shots, replace=False) for row in rows])
                break
        else:
            raise DataError(f"no episode of {ways} classes with {shots} rows each was found in {ATTEMPTS} draws")
    return Episodes(query, support)


def _allowed(asked: int, people: I64, sessions: I64 | None) -> NDArray[np.bool_]:
    """``[N]``: which rows may support the query ``asked``."""
    same: NDArray[np.bool_] = people == people[asked]
    return ~same if sessions is None else same & (sessions != sessions[asked])


def ranks(embeddings: NDArray[np.float32], episodes: Episodes) -> I64:
    """Return ``[N]``: how many classes are at least as similar to the query as its own, so 0 is a right answer.

    Args:
        embeddings: ``[M, E]``, of any length: candidates count by direction.
        episodes: rows of ``embeddings``.
    """
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    prototypes = unit[episodes.support].mean(axis=2)
    prototypes /= np.maximum(np.linalg.norm(prototypes, axis=2, keepdims=True), 1e-12)
    similar = np.einsum("nwe,ne->nw", prototypes, unit[episodes.query])
    beaten: I64 = (similar[:, 1:] >= similar[:, :1]).sum(axis=1)
    return beaten


def top(beaten: I64, k: int) -> float:
    """Return the share of episodes whose own class is among the ``k`` most similar."""
    return float((beaten < k).mean())
