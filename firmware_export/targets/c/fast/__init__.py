"""Kernels for speed: pairs of int16 at once (``har_dsp.h``), assembly inside on cores with the DSP extension.

Each takes a layer and returns its kernel, or None where the layer's shape or numbers do not fit it; the plain kernel of
``targets.c.ops`` is then used. To add one: its file, its line in ``FAST_EMITTERS``. A kernel for some cores alone has a
``condition``; the others get that of ``OTHER_CORES``, else the plain one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from firmware_export.targets.c.fast.conv1d import direct_conv1d, fast_conv1d
from firmware_export.targets.c.fast.conv2d import fast_conv2d
from firmware_export.targets.c.fast.dense import fast_dense
from firmware_export.targets.c.fast.depthwise_conv1d import fast_depthwise_conv1d
from firmware_export.targets.c.fast.depthwise_conv2d import fast_depthwise_conv2d
from firmware_export.targets.c.fast.doubled import WeightBits
from firmware_export.targets.c.fast.lstm import fast_lstm
from firmware_export.targets.c.fast.pools import fast_average_pool1d, fast_max_pool1d
from firmware_export.targets.c.fast.two_by_two import two_by_two_conv1d
from firmware_export.targets.c.layer import Kernel, Layer

FAST_EMITTERS: Mapping[str, Callable[[Layer], Kernel | None]] = {
    "average_pool1d": fast_average_pool1d,
    "conv1d": fast_conv1d,
    "conv2d": fast_conv2d,
    "dense": fast_dense,
    "depthwise_conv1d": fast_depthwise_conv1d,
    "depthwise_conv2d": fast_depthwise_conv2d,
    "lstm": fast_lstm,
    "max_pool1d": fast_max_pool1d,
}
# Weights as int8, and no method that needs more of them: little is left of the flash that kernels for speed cost.
PACKED_EMITTERS: Mapping[str, Callable[[Layer], Kernel | None]] = {
    **FAST_EMITTERS,
    "conv1d": partial(direct_conv1d, bits=WeightBits.INT8),
    "conv2d": partial(fast_conv2d, bits=WeightBits.INT8),
    "dense": partial(fast_dense, bits=WeightBits.INT8),
    "lstm": partial(fast_lstm, bits=WeightBits.INT8),
}
OTHER_CORES: Mapping[str, Callable[[Layer], Kernel]] = {"conv1d": two_by_two_conv1d}
