"""C emitters, one op a file. To add one: its file, its line in ``EMITTERS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from firmware_export.targets.c.layer import Kernel, Layer
from firmware_export.targets.c.ops.add import emit_add, emit_add_constant
from firmware_export.targets.c.ops.batch_matmul import emit_batch_matmul
from firmware_export.targets.c.ops.conv1d import emit_conv1d
from firmware_export.targets.c.ops.conv2d import emit_conv2d, emit_depthwise_conv2d
from firmware_export.targets.c.ops.dense import emit_dense
from firmware_export.targets.c.ops.depthwise_conv1d import emit_depthwise_conv1d
from firmware_export.targets.c.ops.forest import emit_forest
from firmware_export.targets.c.ops.l2_norm import emit_l2_norm
from firmware_export.targets.c.ops.lstm import emit_lstm
from firmware_export.targets.c.ops.moves import emit_concat, emit_crop1d, emit_reshape, emit_reverse, emit_transpose
from firmware_export.targets.c.ops.pools import emit_average_pool1d, emit_max_pool1d
from firmware_export.targets.c.ops.pools2d import emit_average_pool2d, emit_max_pool2d, emit_mean
from firmware_export.targets.c.ops.relu import emit_relu
from firmware_export.targets.c.ops.requantize import emit_requantize
from firmware_export.targets.c.ops.softmax import emit_softmax

EMITTERS: Mapping[str, Callable[[Layer], Kernel]] = {
    "add": emit_add,
    "add_constant": emit_add_constant,
    "average_pool1d": emit_average_pool1d,
    "average_pool2d": emit_average_pool2d,
    "batch_matmul": emit_batch_matmul,
    "concat": emit_concat,
    "conv1d": emit_conv1d,
    "conv2d": emit_conv2d,
    "crop1d": emit_crop1d,
    "dense": emit_dense,
    "depthwise_conv1d": emit_depthwise_conv1d,
    "depthwise_conv2d": emit_depthwise_conv2d,
    "forest": emit_forest,
    "l2_norm": emit_l2_norm,
    "lstm": emit_lstm,
    "max_pool1d": emit_max_pool1d,
    "max_pool2d": emit_max_pool2d,
    "mean": emit_mean,
    "relu": emit_relu,
    "requantize": emit_requantize,
    "reshape": emit_reshape,
    "reverse": emit_reverse,
    "softmax": emit_softmax,
    "transpose": emit_transpose,
}
