"""A convolution at neighbouring positions as products of polynomials: which integers, and whether they are exact.

Two positions of K taps see K + 1 rows. Rows and taps are taken as polynomials at K points and at infinity; a product a
point gives both positions (``har_winograd.h``). Over the integers that needs a common denominator, which the taps carry
and the results are divided by, without a rest.

Source: Lavin and Gray, arXiv:1509.09308; the matrices of any points follow from Lagrange interpolation, transposed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_export.affine import INT16_MAX
from firmware_export.targets.c.layer import INT32_MAX


@dataclass(frozen=True)
class Tile:
    """The two positions of a kernel of ``len(points)`` taps.

    Attributes:
        points: the finite ones, in the order in which their products are summed up.
    """

    points: tuple[int, ...]

    @property
    def taps(self) -> int:
        """Of the kernel."""
        return len(self.points)

    @property
    def denominator(self) -> int:
        """What the sums are multiplied by, so that all weights are integers."""
        return math.lcm(*self._spread())

    @property
    def rows(self) -> NDArray[np.int64]:
        """``[points + 1, taps + 1]``: what each point, and infinity, takes of each row."""
        every = [[q for q in self.points if q != p] for p in self.points]
        polynomials = [np.append(np.poly(roots)[::-1], 0) for roots in every]
        return np.rint([*polynomials, np.poly(self.points)[::-1]]).astype(np.int64)

    @property
    def weights(self) -> NDArray[np.int64]:
        """``[points + 1, taps]``: what each point, and infinity, takes of each tap, times the denominator."""
        powers = [
            [self.denominator // spread * p**k for k in range(self.taps)]
            for p, spread in zip(self.points, self._spread(), strict=True)
        ]
        infinity = [0] * (self.taps - 1) + [self.denominator]
        return np.asarray([*powers, infinity], np.int64)

    @property
    def second(self) -> tuple[int, ...]:
        """What the second position takes of the running sum at each point and at infinity.

        Products m are never taken apart: the second position is the sum of ``p * m`` and m of infinity, m the
        difference of two running sums. The first position is the running sum at the last finite point.
        """
        factors = (*self.points, 1)
        return (*(a - b for a, b in itertools.pairwise(factors)), 1)

    def _spread(self) -> list[int]:
        return [math.prod(p - q for q in self.points if q != p) for p in self.points]


TILES: Mapping[int, Tile] = {3: Tile((1, -1, 0)), 5: Tile((1, 2, 0, -2, -1))}  # by taps


def transformed(tile: Tile, weight: NDArray[np.int8], bias: NDArray[np.int32]) -> NDArray[np.int16] | None:
    """Return ``[C_out, points + 1, C_in]`` weights; None where the results could be wrong for some input.

    Rules:
    1. Transformed rows and weights are int16.
    2. A sum times the denominator, and doubled, is int32. What is on the way to it may wrap around.

    Args:
        tile: of the kernel's taps.
        weight: ``[C_out, K, C_in]``.
        bias: ``[C_out]``, the zero point folded into it.
    """
    found = np.einsum("pk,okc->opc", tile.weights, weight.astype(np.int64))
    rows = 128 * np.abs(tile.rows).sum(axis=1).max()
    sums = np.abs(bias.astype(np.int64)) + 128 * np.abs(weight.astype(np.int64)).sum(axis=(1, 2))
    if max(np.abs(found).max(), rows) > INT16_MAX or sums.max() * max(tile.denominator, 2) > INT32_MAX:
        return None
    numbers: NDArray[np.int16] = found.astype(np.int16)
    return numbers
