"""How the kernel of a convolution or pool slides over ``[N, H, W, C]``: along one axis where the other is not there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from firmware_export.graph import Shape
from firmware_export.ops.window1d import Padding, same_padding
from firmware_export.ops.window2d import NO_PADDING, Padding2d, Pair
from firmware_export.tflite_reader.reading import MOST_PRODUCTS, Reading, Tensor

SAME, VALID = 0, 1  # Padding of the schema
LONGEST_KERNEL = 2**16


@dataclass(frozen=True)
class Window:
    """A kernel and its input, all of height and width.

    Attributes:
        x: the input, its padding apart.
        kernel, stride, dilation: positive.
        padding: zeros around the input, of a PAD before the operator and of its own.
    """

    x: Tensor
    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Padding2d

    @property
    def size(self) -> Pair:
        """Height and width of the input."""
        return self.x.shape[1], self.x.shape[2]

    @property
    def channels(self) -> int:
        """Of the input."""
        return self.x.shape[3]

    @property
    def covers_all(self) -> bool:
        """Whether the kernel has one position, on the whole input."""
        return self.kernel == self.size and self.dilation == (1, 1) and self.padding == NO_PADDING

    @property
    def only_axis(self) -> int | None:
        """0 or 1 if the kernel slides along height or width alone and the other has length 1, None if along both."""
        for axis, other in ((1, 0), (0, 1)):
            if self.size[other] == self.kernel[other] == 1 and self.padding[other] == (0, 0):
                return axis
        return None


def window_of(reading: Reading, x: Tensor, kernel: Pair, fields: tuple[int, int, int], dilations: Pair) -> Window:
    """Return the window of an operator.

    Args:
        reading: of the operator.
        x: its input.
        kernel: height and width.
        fields: of the options: padding, width of the stride, height of the stride.
        dilations: height and width.

    Raises:
        UnsupportedOpError: the input is no ``[1, H, W, C]``, or a setting is out of range.
    """
    padding, stride_w, stride_h = (
        reading.operator.number(field, kind) for field, kind in zip(fields, "bii", strict=True)
    )
    stride = stride_h, stride_w
    if len(x.shape) != 4 or x.shape[0] != 1 or 0 in x.shape:
        raise reading.refuse(f"its input is {list(x.shape)}, expected [1, H, W, C]; convert with batch 1")
    if padding not in (SAME, VALID) or min(*kernel, *stride, *dilations) < 1 or math.prod(kernel) > LONGEST_KERNEL:
        raise reading.refuse(
            f"kernel {list(kernel)}, stride {list(stride)}, dilation {list(dilations)}, padding {padding}; expected "
            f"positive numbers, a kernel of at most {LONGEST_KERNEL} and SAME (0) or VALID (1)"
        )
    around = x.padding or ((0, 0),) * 4
    if around[0] != (0, 0) or around[3] != (0, 0):
        raise reading.refuse(f"the PAD before it pads {list(around)}, expected height and width alone")
    total: list[Padding] = []
    positions = 1
    for length, pads, k, s, d in zip(x.shape[1:3], around[1:3], kernel, stride, dilations, strict=True):
        padded = length + sum(pads)
        own = same_padding(padded, k, s, d) if padding == SAME else (0, 0)
        total.append((pads[0] + own[0], pads[1] + own[1]))
        positions *= (padded + sum(own)) // s + 1
    if positions * math.prod(kernel) * x.shape[3] > MOST_PRODUCTS or sum(map(sum, total)) > MOST_PRODUCTS:
        raise reading.refuse(
            f"its kernel sees over {MOST_PRODUCTS} numbers at all its positions, more than a device of ours runs"
        )
    return Window(x, kernel, stride, dilations, (total[0], total[1]))


def series_shape(window: Window, axis: int) -> Shape:
    """Return our ``[1, T, C]`` of the input whose other axis has length 1."""
    return 1, window.size[axis], window.channels
