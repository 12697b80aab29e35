"""How ``lstm`` and what makes it bidirectional are written in ONNX.

ONNX has no integer LSTM: the operator computes in float32 with our int8 weights dequantized, between our quantized
input and output. Its hidden state is not rounded to int8 from step to step, nor its cells to int16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ExportError
from firmware_export.graph import Node, Quantization
from firmware_export.ops.lstm import BIASES, INPUT_WEIGHTS, RECURRENT_WEIGHTS
from firmware_export.targets.onnx.writer import Writer

ONNX_GATES = (0, 3, 1, 2)  # i, o, f, c of our i, f, c, o


def emit_lstm(writer: Writer, node: Node) -> None:
    """LSTM over ``[T, 1, I]``, one scale a row of its stacked weights."""
    x = writer.node("Transpose", [writer.real(node.inputs[0])], f"{node.output}/tnc", perm=[2, 0, 1])
    weight = _stacked(writer, node.inputs[INPUT_WEIGHTS], f"{node.output}/W")
    recurrent = _stacked(writer, node.inputs[RECURRENT_WEIGHTS], f"{node.output}/R")
    units = writer.graph.values[node.output].shape[2]
    bias = _stacked(writer, node.inputs[BIASES], f"{node.output}/Wb")
    zeros = writer.initializer(f"{node.output}/Rb", np.zeros((1, 4 * units), np.float32))
    both = writer.node("Concat", [bias, zeros], f"{node.output}/B", axis=1)
    y = writer.node("LSTM", [x, weight, recurrent, both], f"{node.output}/lstm", hidden_size=units)
    one = writer.initializer(f"{node.output}/direction", np.asarray([1], np.int64))
    series = writer.node("Squeeze", [y, one], f"{node.output}/series")  # [T, 1, H]
    writer.result(node.output, writer.node("Transpose", [series], f"{node.output}/real_nct", perm=[1, 2, 0]))


def emit_reverse(writer: Writer, node: Node) -> None:
    """Slice of the last axis with step -1."""
    numbers = {"starts": -1, "ends": np.iinfo(np.int64).min, "axes": 2, "steps": -1}
    steering = [writer.initializer(f"{node.output}/{name}", np.asarray([i], np.int64)) for name, i in numbers.items()]
    inputs = [writer.real(node.inputs[0]), *steering]
    writer.result(node.output, writer.node("Slice", inputs, f"{node.output}/backward"))


def emit_concat(writer: Writer, node: Node) -> None:
    """Concat of axis 1, the channels."""
    inputs = [writer.real(name) for name in node.inputs]
    writer.result(node.output, writer.node("Concat", inputs, f"{node.output}/concat", axis=1))


def _stacked(writer: Writer, names: tuple[str, ...], output: str) -> str:
    """Return the gates' constants ``[H, ...]`` as one real-valued ``[1, 4 H, ...]`` in ONNX's order of gates."""
    values = [writer.graph.values[names[gate]] for gate in ONNX_GATES]
    integers = np.concatenate([_data(value.name, value.data) for value in values])[None]
    rows = tuple(value.quantization.scale for value in values for _ in range(value.shape[0]))
    return writer.dequantized_constant(output, integers, Quantization(rows, 0, axis=1))


def _data(name: str, data: NDArray[Any] | None) -> NDArray[Any]:
    if data is None:
        raise ExportError(f"value {name!r} is computed while running, expected a constant")
    return data
