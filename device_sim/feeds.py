"""From front-end columns to the tensors of one network input, window after window.

A feed takes columns as they come (``append``) and gives the tensors of the newest windows (``views``); what it
holds has a fixed size (``nbytes``) and can be forgotten (``reset``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.ring_buffer import RingBuffer
from edgehar.manifest import ModelInput
from edgehar.signal.features import WindowFeatures

F32 = NDArray[np.float32]
Tensors = list[NDArray[Any]]  # of the input's format


class WindowFeed:
    """An input that gets the window itself: its columns are quantized as they come and wait in a ring.

    Args:
        source: which columns, and their format.
        window: rows of a tensor.
        append_max: most rows in one append.
    """

    def __init__(self, source: ModelInput, window: int, append_max: int) -> None:
        self._pick = source.pick
        self._quantize = source.quant.quantize
        self._ring = RingBuffer(window, len(source.columns), append_max, source.quant.dtype)
        self.nbytes = self._ring.nbytes
        self.reset = self._ring.reset

    def append(self, columns: F32) -> None:
        """Take front-end columns ``[N, F]``."""
        self._ring.append(self._quantize(self._pick(columns)))

    def views(self, count: int, hop: int) -> Tensors:
        """Return ``count`` windows ``[window, C]``, ``hop`` rows apart, up to the newest; valid until an append."""
        return self._ring.views(count, hop)


class FeatureFeed:
    """An input that gets window features: its columns wait as float32, and a complete window is summed up.

    Args: as of :class:`WindowFeed`, and ``features``, what is computed.
    """

    def __init__(self, source: ModelInput, features: WindowFeatures, window: int, append_max: int) -> None:
        self._pick = source.pick
        self._features = features
        self._quantize = source.quant.quantize
        self._ring = RingBuffer(window, len(source.columns), append_max, "float32")
        self.nbytes = self._ring.nbytes
        self.reset = self._ring.reset

    def append(self, columns: F32) -> None:
        """Take front-end columns ``[N, F]``."""
        self._ring.append(self._pick(columns))

    def views(self, count: int, hop: int) -> Tensors:
        """Return the features ``[width]`` of ``count`` windows, ``hop`` rows apart, up to the newest."""
        return list(self._quantize(summed_up(self._features, np.stack(self._ring.views(count, hop)))))


def summed_up(features: WindowFeatures, windows: F32) -> F32:
    """Return finite features ``[N, width]`` of windows ``[N, T, C]``."""
    with np.errstate(over="ignore", invalid="ignore"):
        vectors = features.run(windows)
    np.nan_to_num(vectors, copy=False, nan=0.0)  # of finite but absurd samples; 0 is the training people's mean
    return vectors


Feed = WindowFeed | FeatureFeed


def feed_of(source: ModelInput, window: int, append_max: int) -> Feed:
    """Return the feed of a network input."""
    if source.features is None:
        return WindowFeed(source, window, append_max)
    return FeatureFeed(source, source.features, window, append_max)
