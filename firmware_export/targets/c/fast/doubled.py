"""Weights and factors for sums that are kept doubled, as words of two int16; or of sums doubled last, of four int8."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from firmware_export.affine import fixed_points
from firmware_export.targets.c.layer import Layer, folded_bias

LARGEST_SUM = 2**30 - 1  # doubled, it stays inside of int32
LARGEST_EXPONENT = 20  # zero_point * 2^exponent and a sum stay inside of int32 together


class WeightBits(IntEnum):
    """How wide weights are kept for kernels in pairs."""

    INT16 = 16  # fewest instructions
    INT8 = 8  # half the flash


@dataclass(frozen=True)
class Doubled:
    """One row an output channel.

    Attributes:
        bias: ``[C]`` int32, twice ``bias - zero_point * sum(weight)``.
        weight: ``[C, products]`` int16, twice the weight.
        last: ``[C, 3]`` int32: multiplier, offset, exponent of ``har_requantize``.
    """

    bias: NDArray[np.int32]
    weight: NDArray[np.int16]
    last: NDArray[np.int32]


def doubled(layer: Layer, rows: NDArray[np.int8]) -> Doubled | None:
    """Return the numbers of a layer whose operands are x, weight, bias; None where they do not fit.

    That is where a sum may reach 2^30, whatever its inputs, or a factor is not in [2^-20, 1/2).

    Args:
        layer: convolution or dense layer.
        rows: its weight as ``[C, products]``.
    """
    x, weight = layer.inputs[0].quantization, layer.inputs[1].quantization
    output = layer.outputs[0].quantization
    bias = folded_bias(layer, layer.constant(2), rows, x.zero_point)
    reach = np.abs(bias.astype(np.int64)) + 128 * np.abs(rows.astype(np.int64)).sum(axis=1)
    factors = np.broadcast_to(x.scale * np.asarray(weight.scales) / output.scale, len(rows))
    multiplier, shift = fixed_points(factors)
    exponent = -shift
    if reach.max() > LARGEST_SUM or exponent.min() < 1 or exponent.max() > LARGEST_EXPONENT:
        return None
    offset = output.zero_point * (1 << exponent) + (1 << (exponent - 1))
    last: NDArray[np.int32] = np.stack([multiplier, offset, exponent], axis=1).astype(np.int32)
    return Doubled(2 * bias, 2 * rows.astype(np.int16), last)


def words(numbers: NDArray[np.int16]) -> NDArray[np.int32]:
    """Return ``[..., 2 N]`` int16 as ``[..., N]`` words, the first number in the low half."""
    return np.ascontiguousarray(numbers.astype("<i2")).view("<i4").astype(np.int32)


def filled_up(rows: NDArray[np.int16], multiple: int) -> NDArray[np.int16]:
    """Return ``[C, products]`` with zeros behind, so that the products are a multiple of ``multiple``."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % multiple)))


def in_pairs(channels: int) -> NDArray[np.intp]:
    """Return ``[pairs, 2]``: which channels go together. An odd last one comes with the one before it, once more."""
    first = np.append(np.arange(0, channels - 1, 2), np.repeat(channels - 2, channels % 2))
    return np.stack([first, first + 1], axis=1)


def packed(rows: NDArray[np.int8]) -> NDArray[np.int32]:
    """Return ``[..., 4 N]`` int8 as ``[..., N]`` words, numbers 0, 2, 1 and 3 of each four from the low byte up."""
    fours = rows.reshape(*rows.shape[:-1], -1, 4)[..., [0, 2, 1, 3]]
    return np.ascontiguousarray(fours.astype(np.int8)).view("<i4")[..., 0].astype(np.int32)


def two_channel_stream(numbers: Doubled, bits: WeightBits = WeightBits.INT16) -> NDArray[np.int32]:
    """Return ``[pairs, words]``: what ``har_two_channels``, or its packed form, reads for two channels, one row a pair.

    An odd last channel comes in a pair with the one before it, whose outputs are then computed twice.
    """
    both = in_pairs(len(numbers.bias))
    rows = filled_up(numbers.weight, 4)
    int16 = bits is WeightBits.INT16
    weight, bias = (words(rows), numbers.bias) if int16 else (packed((rows // 2).astype(np.int8)), numbers.bias // 2)
    fours = rows.shape[1] // 4
    mixed = weight[both].reshape(len(both), 2, fours, -1).transpose(0, 2, 1, 3).reshape(len(both), -1)
    return np.concatenate([bias[both], mixed, numbers.last[both].reshape(len(both), -1)], axis=1, dtype=np.int32)


def fours_of(stream: NDArray[np.int32], bits: WeightBits = WeightBits.INT16) -> int:
    """Return how many products of a channel such a stream has, in fours."""
    return int(stream.shape[1] - 8) * 4 // bits
