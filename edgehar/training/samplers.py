"""Which windows form a batch: any, or N classes × M windows of each, so that it is full of pairs and negatives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ConfigError
from edgehar.heads import UNKNOWN

I64 = NDArray[np.int64]


class RandomBatches:
    """Batches of ``size`` out of ``members``, each at most once an epoch; the odd rest is left to another epoch."""

    def __init__(self, members: int, size: int) -> None:
        self._members, self._size = members, size

    def __len__(self) -> int:
        """Batches an epoch."""
        return self._members // self._size

    def epoch(self, rng: np.random.Generator) -> Iterator[I64]:
        """Yield the members ``[size]`` of each batch."""
        order = rng.permutation(self._members)
        for batch in range(len(self)):
            yield order[batch * self._size : (batch + 1) * self._size]


class ClassBatches:
    """Batches of ``groups`` groups, each of ``samples`` members of one class.

    The groups are the classes in random order, and the same again where there are more groups than classes. Every
    class deals its members from a shuffled pile and shuffles again when the pile is empty: a small class comes up as
    often as a large one, and no member twice before all have been dealt. Members of class -1 never are.

    Args:
        classes: ``[N]`` class of each member, -1 unknown.
        groups: N of N classes × M samples.
        samples: M.

    Raises:
        ConfigError: there are fewer than two classes.
    """

    def __init__(self, classes: I64, groups: int, samples: int) -> None:
        present = np.unique(classes[classes != UNKNOWN])
        if len(present) < 2:
            raise ConfigError(
                f"triplets need windows of at least two classes, the training windows have {len(present)}"
            )
        self._members = [np.flatnonzero(classes == value) for value in present]
        self._groups, self._samples = groups, samples
        self._known = int((classes != UNKNOWN).sum())

    def __len__(self) -> int:
        """Batches an epoch: as many as it takes to deal as many members as there are."""
        return max(1, self._known // (self._groups * self._samples))

    def epoch(self, rng: np.random.Generator) -> Iterator[I64]:
        """Yield the members ``[groups * samples]`` of each batch, group after group."""
        piles = [np.empty(0, np.int64) for _ in self._members]
        rounds = -(-self._groups // len(piles))
        for _ in range(len(self)):
            order = np.concatenate([rng.permutation(len(piles)) for _ in range(rounds)])[: self._groups]
            batch = []
            for chosen in order.tolist():
                while len(piles[chosen]) < self._samples:
                    piles[chosen] = np.concatenate([piles[chosen], rng.permutation(self._members[chosen])])
                batch.append(piles[chosen][: self._samples])
                piles[chosen] = piles[chosen][self._samples :]
            yield np.concatenate(batch)
