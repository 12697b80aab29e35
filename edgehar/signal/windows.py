"""Windows and hops over continuous data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.recording import UNLABELLED


def window_starts(length: int, window: int, hop: int) -> NDArray[np.int64]:
    """Return the first sample of every full window in ``length`` samples: 0, hop, 2 hop, ..."""
    if window < 1 or hop < 1:
        raise ValueError(f"window {window} and hop {hop}: expected at least 1 sample each")
    return np.arange(0, max(0, length - window + 1), hop, dtype=np.int64)


def sliding_windows(x: NDArray[Any], window: int, hop: int) -> NDArray[Any]:
    """Return windows ``[N, window, ...]`` of ``x`` ``[T, ...]`` as a read-only view, no copy."""
    if len(x) < window:
        return np.empty((0, window, *x.shape[1:]), x.dtype)
    view = np.lib.stride_tricks.sliding_window_view(x, window, axis=0)[::hop]
    return np.moveaxis(view, -1, 1)


def window_labels(labels: NDArray[np.int16], window: int, hop: int) -> NDArray[np.int16]:
    """Return one label a window: the label of all its samples, or ``UNLABELLED`` where they differ.

    A window across a boundary has no single truth; it is streamed and shown but neither trained on nor scored.
    """
    starts = window_starts(len(labels), window, hop)
    if len(starts) == 0:
        return np.empty(0, np.int16)
    stretch = np.concatenate([[0], np.cumsum(labels[1:] != labels[:-1])])  # number of the stretch a sample lies in
    pure = stretch[starts] == stretch[starts + window - 1]
    return np.where(pure, labels[starts], np.int16(UNLABELLED)).astype(np.int16)
