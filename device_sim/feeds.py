"""From front-end columns to the tensors of one network input, window after window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device_sim.ring_buffer import RingBuffer
from edgehar.bundle import ModelInput

F32 = NDArray[np.float32]


class WindowFeed:
    """An input that gets the window itself: its columns are quantized as they come and wait in a ring.

    Args:
        source: which columns, and their scale.
        window: rows of a tensor.
        append_max: most rows in one append.
    """

    def __init__(self, source: ModelInput, window: int, append_max: int) -> None:
        self._pick = source.pick
        self._quantize = source.quant.quantize
        self._ring = RingBuffer(window, len(source.columns), append_max)
        self.nbytes = self._ring.nbytes
        self.reset = self._ring.reset
        self.views = self._ring.views

    def append(self, columns: F32) -> None:
        """Take front-end columns ``[N, F]``."""
        self._ring.append(self._quantize(self._pick(columns)))
