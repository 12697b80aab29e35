"""Kernels for MVE, the vectors of 16 bytes of Cortex-M52, M55 and M85 (``har_mve.h``); int8 weights, filled up to 16.

Each takes a layer and returns its kernel, or None where the layer's shape or numbers do not fit it; then the kernel for
speed is used, else the plain one. To add one: its file, its line in ``MVE_EMITTERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from firmware_export.targets.c.fast.pools import fast_max_pool1d
from firmware_export.targets.c.layer import Kernel, Layer
from firmware_export.targets.c.mve.conv1d import mve_conv1d
from firmware_export.targets.c.mve.dense import mve_dense
from firmware_export.targets.c.mve.depthwise_conv1d import mve_depthwise_conv1d
from firmware_export.targets.c.mve.lstm import mve_lstm
from firmware_export.targets.c.mve.pools import mve_average_pool1d, mve_mean

MVE_EMITTERS: Mapping[str, Callable[[Layer], Kernel | None]] = {
    "average_pool1d": mve_average_pool1d,
    "conv1d": mve_conv1d,
    "dense": mve_dense,
    "depthwise_conv1d": mve_depthwise_conv1d,
    "lstm": mve_lstm,
    "max_pool1d": fast_max_pool1d,
    "mean": mve_mean,
}
