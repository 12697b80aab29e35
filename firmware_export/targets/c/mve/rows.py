"""What the MVE kernels read of a layer: weights in steps of 16 products, and what a sum needs to become an int8."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_export.targets.c.layer import Layer, folded_bias, rescaling

LANES = 16
HEADERS = ("har_dsp.h", "har_mve.h")


@dataclass(frozen=True)
class Rows:
    """One row an output channel.

    Attributes:
        weight: ``[C, products]`` int8.
        last: ``[C, 3]`` int32: bias with the zero point folded in, multiplier, shift.
    """

    weight: NDArray[np.int8]
    last: NDArray[np.int32]

    def pairs(self) -> Rows:
        """Return the rows two by two; an odd last one comes with the one before it, which is then there twice."""
        channels = len(self.weight)
        first = np.append(np.arange(0, channels - 1, 2), np.repeat(channels - 2, channels % 2))
        both = np.stack([first, first + 1], axis=1).ravel()
        return Rows(self.weight[both], self.last[both])

    def filled_up(self, multiple: int) -> Rows:
        """Return the rows with others of zeros behind them, so that there are a multiple of ``multiple``."""
        more = -len(self.weight) % multiple
        return Rows(np.pad(self.weight, ((0, more), (0, 0))), np.pad(self.last, ((0, more), (0, 0))))


def rows_of(layer: Layer, weight: NDArray[np.int8]) -> Rows | None:
    """Return the rows of a layer whose operands are x, weight, bias; None where a factor is 1/2 or more.

    Such a sum would not be shifted right, and a right shift is what the kernels round.

    Args:
        layer: convolution or dense layer.
        weight: its weight as ``[C, products]``.
    """
    x, scales = layer.inputs[0].quantization, layer.inputs[1].quantization.scales
    bias = folded_bias(layer, layer.constant(2), weight, x.zero_point)
    factors = np.broadcast_to(x.scale * np.asarray(scales) / layer.outputs[0].quantization.scale, len(weight))
    scale = rescaling(factors)
    if scale["shift"].max() >= 0:
        return None
    return Rows(weight, np.stack([bias, scale["multiplier"], scale["shift"]], axis=1).astype(np.int32))


def steps_of(weight: NDArray[np.int8], together: int) -> NDArray[np.int8]:
    """Return ``[C / together, steps, together, 16]``: rows side by side in steps, zeros behind the last product."""
    filled = np.pad(weight, ((0, 0), (0, -weight.shape[1] % LANES)))
    return np.ascontiguousarray(filled.reshape(-1, together, filled.shape[1] // LANES, LANES).swapaxes(1, 2))
