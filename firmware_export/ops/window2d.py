"""Sliding a kernel over an image: the shape rule, the padding and the patches that 2-D convolutions and pools share."""

from __future__ import annotations

import numpy as np

from firmware_export.graph import Shape
from firmware_export.ops.op import Array
from firmware_export.ops.window1d import Padding, output_length

Pair = tuple[int, int]  # of height and width
Padding2d = tuple[Padding, Padding]  # above and below, left and right
NO_PADDING: Padding2d = ((0, 0), (0, 0))


def output_size(shape: Shape, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding2d) -> Pair:
    """Return how many positions the kernel has in height and width of ``[N, H, W, C]``.

    Raises:
        ExportError: the kernel is larger than the padded input.
        ValueError: the input is no image.
    """
    if len(shape) != 4:
        raise ValueError(f"{list(shape)} is no image, expected [1, H, W, C]")
    height, width = (output_length(*axis) for axis in zip(shape[1:3], kernel, stride, dilation, padding, strict=True))
    return height, width


def pad_image(x: Array, padding: Padding2d, value: float) -> Array:
    """Return ``x`` ``[N, H, W, C]`` with ``value`` around it."""
    if padding == NO_PADDING:
        return x
    return np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=value)


def patches2d(x: Array, kernel: Pair, stride: Pair, dilation: Pair) -> Array:
    """Return what the kernel sees at every position, ``[N, H_out, W_out, K_h, K_w, C]``, as a read-only view."""
    size = output_size(x.shape, kernel, stride, dilation, NO_PADDING)
    n, h, w, c = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (x.shape[0], *size, *kernel, x.shape[3]),
        (n, h * stride[0], w * stride[1], h * dilation[0], w * dilation[1], c),
        writeable=False,
    )
