"""ONNX ``Gemm`` and ``MatMul`` with a constant: fully connected layers, columns in channels-last order.

Over a series ``[N, T, C]`` a fully connected layer is a convolution of kernel 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from firmware_export.onnx_reader.reading import ROWS, SERIES, Reading, attribute, name_of
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.dense import Dense


def read_gemm(reading: Reading, node: ir.Node) -> None:
    """``alpha A B + beta C`` with activation A and constants B, C."""
    if attribute(node, "transA", 0):
        raise reading.refuse(node, "transA is not supported")
    weight = reading.required(node, 1) * np.float32(attribute(node, "alpha", 1.0))
    bias = reading.constant(node, 2)
    if bias is not None:
        bias = bias * np.float32(attribute(node, "beta", 1.0))
    _add_dense(reading, node, weight if attribute(node, "transB", 0) else weight.T, bias)


def read_dense_matmul(reading: Reading, node: ir.Node) -> None:
    """A times constant B; the Add that usually follows is folded in later."""
    weight = reading.required(node, 1)
    if reading.tensor(node, 0).axes == SERIES and weight.ndim == 2:
        _add_pointwise(reading, node, weight.T)
    else:
        _add_dense(reading, node, weight.T, None)


def _add_pointwise(reading: Reading, node: ir.Node, weight: NDArray[Any]) -> None:
    """Append a convolution of kernel 1 with ``weight`` ``[C_out, C_in]``."""
    x = reading.tensor(node, 0)
    if x.shape[2] != weight.shape[1]:
        raise reading.refuse(node, f"input {list(x.onnx_shape)} with weight {list(weight.shape)}")
    names = (
        reading.add_constant(name_of(node.inputs[1]), weight[:, None]),
        reading.add_constant(f"{node.outputs[0].name}/bias", np.zeros(len(weight))),
    )
    reading.add(node, "conv1d", (x.name, *names), Conv1d(), SERIES)


def _add_dense(reading: Reading, node: ir.Node, weight: NDArray[Any], bias: NDArray[Any] | None) -> None:
    """Append a dense layer with ``weight`` ``[K_out, K_in]``, columns in ONNX order."""
    x = reading.tensor(node, 0)
    if x.axes != ROWS or weight.ndim != 2 or x.shape[1] != weight.shape[1]:
        raise reading.refuse(
            node, f"input {list(x.onnx_shape)} with weight {list(weight.shape)}, expected [N, K_in] and [K_out, K_in]"
        )
    outputs = weight.shape[0]
    if bias is not None and bias.size not in (1, outputs):
        raise reading.refuse(node, f"bias has shape {list(bias.shape)}, expected [{outputs}]")
    if x.steps > 1:
        weight = weight[:, x.permutation]
    vector = np.zeros(outputs) if bias is None else np.broadcast_to(bias.reshape(-1), (outputs,))
    weight_name = reading.add_constant(name_of(node.inputs[1]), weight)
    given = node.inputs[2] if bias is not None else None
    bias_name = reading.add_constant(f"{node.outputs[0].name}/bias" if given is None else name_of(given), vector)
    reading.add(node, "dense", (x.name, weight_name, bias_name), Dense(), ROWS)
