"""How many positions of a convolution are computed at a time: in a turn of the inner function, and in a stretch."""

from __future__ import annotations

from collections.abc import Sequence

STRETCH_BYTES = 2048  # of x as int16
# Positions: cycles of Cortex-M4 of a step of four products of two channels, and besides. Instructions would flatter the
# turns of few positions, which load the most.
TURNS = {3: (26, 85), 2: (19, 60), 1: (12, 42)}
CALL = 45  # cycles of a call of the inner function


def best_stretch(count: int, sizes: Sequence[int], fours: int) -> tuple[int, int]:
    """Return the positions of a turn and of a stretch: with the fewest cycles, then the longest that fits.

    A stretch is a whole number of turns; the last one may overlap the one before it, so that positions are computed
    twice.

    Args:
        count: of positions in all.
        sizes: bytes of x that 0, 1, 2, ... positions see.
        fours: products of a sum, in fours.
    """

    def cost(turn: int, positions: int) -> int:
        step, besides = TURNS[turn]
        return -(-count // positions) * (positions // turn * (step * fours + besides) + CALL)

    fitting = [
        (turn, positions)
        for turn in TURNS
        for positions in range(turn, count + 1, turn)
        if sizes[positions] <= STRETCH_BYTES
    ]
    least = min(count, 3)
    return min(fitting or [(least, least)], key=lambda way: (cost(*way), -way[1]))
