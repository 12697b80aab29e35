"""Weights int8, activations float32: what LiteRT calls hybrid kernels.

Before each convolution or dense layer the kernel rounds its input to int8 with a scale and a zero point taken from
that one window, sums products of integers, and scales the sums back. Everything else is float32.
Source of the arithmetic: TFLite ``ConvHybridPerChannel``, ``DepthwiseConvHybridPerChannel`` and
``AsymmetricQuantizeFloats``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.affine import INT8_MAX, INT8_MIN, quantize_weight, to_real
from firmware_export.graph import Graph, Value, assemble
from firmware_export.ops import op_of
from firmware_export.ops.op import Weight
from firmware_export.reference import Windows, batches

HYBRID_OPS = ("conv1d", "dense", "depthwise_conv1d")  # TFLite has a per-channel hybrid kernel for these

F32 = NDArray[np.float32]


def quantize_weights(graph: Graph) -> Graph:
    """Return the float graph with the weights of ``HYBRID_OPS`` as int8, one scale an output channel; biases float.

    A layer with a single output channel keeps its float weights: LiteRT takes one scale for a per-tensor weight, whose
    kernel rounds by other rules.
    """
    made: dict[str, Value] = {}
    nodes = []
    for node in graph.nodes:
        inputs = list(node.inputs)
        for index, role in enumerate(op_of(node).operands if node.op in HYBRID_OPS else ()):
            data = graph.values[node.inputs[index]].data
            if isinstance(role, Weight) and data is not None and _channels(role, data) > 1:
                inputs[index] = f"{node.inputs[index]}/int8"  # another op may read the float weights
                integers, quant = quantize_weight(data, role.axis, np.zeros(1))
                made[inputs[index]] = Value(inputs[index], integers.shape, "int8", quant, integers)
        nodes.append(replace(node, inputs=tuple(inputs)))
    return assemble(graph.inputs, graph.outputs, nodes, [*graph.values.values(), *made.values()])


def _channels(role: Weight, weight: NDArray[Any]) -> int:
    return 1 if role.axis is None else int(weight.shape[role.axis])


def run_hybrid(graph: Graph, windows: Windows) -> tuple[F32, ...]:
    """Return each output, ``[N, K]`` float32, as the hybrid kernels compute it.

    The integer sums are done in float32 on the rounded numbers, so they agree to about 1e-6 of the terms.

    Args:
        graph: what :func:`quantize_weights` returns.
        windows: ``[N, T, C]`` float32 of each input.

    Raises:
        UsageError: the windows are not of the inputs' shapes and types.
    """
    constants = {name: value.data for name, value in graph.values.items() if value.data is not None}
    weights = {n: to_real(data, graph.values[n].quantization) for n, data in constants.items() if data.dtype == np.int8}
    outputs = []
    for fed in batches(graph, windows):
        values: dict[str, Any] = {**constants, **weights, **fed}
        for node in graph.nodes:
            inputs = [values[name] for name in node.inputs]
            if any(name in weights for name in node.inputs):
                inputs[0] = rounded_per_window(inputs[0])
            result = op_of(node).float32(node.attrs, inputs)
            values[node.output] = result[0] if isinstance(result, tuple) else result  # states behind it are not read
        outputs.append([values[name] for name in graph.outputs])
    return tuple(np.concatenate(parts) for parts in zip(*outputs, strict=True))


def rounded_per_window(x: F32) -> F32:
    """Return ``[N, ...]`` as int8 represents it, scale and zero point from each window's own range with 0 inside."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    low, high = np.minimum(flat.min(axis=1), 0), np.maximum(flat.max(axis=1), 0)
    scale = np.where(high > low, (high - low) / (INT8_MAX - INT8_MIN), 1.0)
    # both ends give a zero point; the one of the smaller terms has the smaller rounding error
    nearer_low = -INT8_MIN - low / scale < INT8_MAX + high / scale
    zero = np.rint(np.where(nearer_low, INT8_MIN - low / scale, INT8_MAX - high / scale)).clip(INT8_MIN, INT8_MAX)
    scale32, zero32 = (column.astype(np.float32)[:, None] for column in (scale, zero))
    shifted = flat.astype(np.float32) * (np.float32(1) / scale32) + zero32
    q = np.copysign(np.floor(np.abs(shifted) + np.float32(0.5)), shifted).clip(INT8_MIN, INT8_MAX)
    real: F32 = ((q - zero32) * scale32).reshape(x.shape)
    return real
