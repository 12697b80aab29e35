"""Sliding a kernel over time: the shape rule, the padding and the patches that convolutions and pools share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgehar.errors import ExportError
from firmware_export.ops.op import Array

Padding = tuple[int, int]


def output_length(length: int, kernel: int, stride: int, dilation: int, padding: Padding) -> int:
    """Return how many positions the kernel has.

    Raises:
        ExportError: the kernel is longer than the padded input.
    """
    reach = (kernel - 1) * dilation + 1
    room = length + sum(padding) - reach
    if room < 0:
        raise ExportError(
            f"a kernel of {kernel} (dilation {dilation}) reaches over {reach} samples, the input has "
            f"{length} + {sum(padding)} of padding; use a longer window or a smaller kernel"
        )
    return room // stride + 1


def same_padding(length: int, kernel: int, stride: int, dilation: int) -> Padding:
    """Return the padding that TFLite calls SAME: ``ceil(length / stride)`` outputs, the odd sample at the end."""
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - length, 0)
    return total // 2, total - total // 2


def pad_time(x: Array, padding: Padding, value: float) -> Array:
    """Return ``x`` ``[N, T, C]`` with ``value`` before and after in time."""
    if padding == (0, 0):
        return x
    return np.pad(x, ((0, 0), padding, (0, 0)), constant_values=value)


def taps(x: Array, kernel: int, stride: int, dilation: int) -> Iterator[Array]:
    """Yield, for each tap of the kernel, what it sees at every position: views ``[N, T_out, C]`` of ``x``."""
    outputs = output_length(x.shape[1], kernel, stride, dilation, (0, 0))
    for k in range(kernel):
        yield x[:, k * dilation : k * dilation + (outputs - 1) * stride + 1 : stride]


def patches(x: Array, kernel: int, stride: int, dilation: int) -> Array:
    """Return what the kernel sees at every position, ``[N, T_out, K, C]``, as a read-only view of ``x``."""
    outputs = output_length(x.shape[1], kernel, stride, dilation, (0, 0))
    n, t, c = x.strides
    return np.lib.stride_tricks.as_strided(
        x, (x.shape[0], outputs, kernel, x.shape[2]), (n, t * stride, t * dilation, c), writeable=False
    )
