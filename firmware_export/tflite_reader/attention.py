"""BATCH_MATMUL: the inside of attention, or a fully connected layer where one side is constant."""

from __future__ import annotations

import math

import numpy as np

from firmware_export.graph import Quantization
from firmware_export.ops.batch_matmul import BatchMatmul
from firmware_export.ops.conv1d import Conv1d
from firmware_export.tflite_reader.reading import Reading, Tensor

LARGEST_PRODUCT = 2**24  # numbers of both sides and the result


def read_batch_matmul(reading: Reading) -> None:
    """A ``[..., M, K]`` times B ``[..., K, S]``, each possibly transposed."""
    adjoint_a, adjoint_b = (bool(reading.operator.number(field, "?")) for field in (0, 1))
    a = reading.tensor(0)
    if len(a.shape) < 2:
        raise reading.refuse(f"of {list(a.shape)}, expected at least two axes")
    if reading.is_constant(1):
        _times_constant(reading, a, adjoint_a=adjoint_a, adjoint_b=adjoint_b)
        return
    b = reading.tensor(1)
    heads, rows, inner = _sides(a, swapped=adjoint_a)
    heads_b, inner_b, columns = _sides(b, swapped=adjoint_b)
    batch = tuple(a.shape[i] for i in heads)
    if len(b.shape) < 2 or batch != tuple(b.shape[i] for i in heads_b) or a.shape[inner] != b.shape[inner_b]:
        raise reading.refuse(f"product of {list(a.shape)} and {list(b.shape)} (adjoint: {adjoint_a}, {adjoint_b})")
    m, k, s, n = a.shape[rows], a.shape[inner], b.shape[columns], math.prod(batch)
    if n * m * s * k > LARGEST_PRODUCT * 64:
        raise reading.refuse(f"product of {list(a.shape)} and {list(b.shape)} is more than a device of ours runs")
    leading = (1, n) if n > 1 else (1,)
    left = reading.arranged(a, [*heads, rows, inner], (*leading, m, k))
    stored = _stored_transposed(b, inner_b, columns)
    order = [*heads_b, columns, inner_b] if stored else [*heads_b, inner_b, columns]
    right = reading.arranged(b, order, (*leading, s, k) if stored else (*leading, k, s))
    reading.place(reading.fit(reading.emit("batch_matmul", (left, right), BatchMatmul(transpose_b=stored))))


def _sides(x: Tensor, *, swapped: bool) -> tuple[list[int], int, int]:
    """Return the file's axes of heads, rows and columns."""
    rank = len(x.shape)
    rows, columns = (rank - 1, rank - 2) if swapped else (rank - 2, rank - 1)
    return list(range(rank - 2)), rows, columns


def _stored_transposed(b: Tensor, inner: int, columns: int) -> bool:
    """Return whether B lies as ``[S, K]`` in our graph."""
    ours = b.axes[inner], b.axes[columns]
    if ours[0] is None or ours[1] is None:
        return inner > columns
    return ours[0] > ours[1]


def _times_constant(reading: Reading, a: Tensor, *, adjoint_a: bool, adjoint_b: bool) -> None:
    """Rescaled as a convolution of kernel 1 rescales its sums, without a bias."""
    heads, rows, inner = _sides(a, swapped=adjoint_a)
    data = reading.constant(1)
    if data.ndim < 2 or data.size != data.shape[-1] * data.shape[-2]:
        raise reading.refuse(f"times a constant {list(data.shape)}, expected one matrix")
    source = reading.values[a.value].dtype
    quant = None if source == "float32" else reading.weight_quant(1, None)
    if source not in ("float32", "int8") or (quant is not None and (quant.axis is not None or data.dtype != np.int8)):
        raise reading.refuse(f"of {source} times a constant of {data.dtype}, expected float or int8 with one scale")
    matrix = (data if quant is not None else reading.real(1)).reshape(data.shape[-2], data.shape[-1])
    weight = matrix if adjoint_b else matrix.T  # [S, K]
    outputs, depth = len(weight), weight.size // max(len(weight), 1)
    if depth != a.shape[inner]:
        raise reading.refuse(f"product of {list(a.shape)} and {list(data.shape)}")
    count = math.prod(a.shape) // max(depth, 1)
    series = reading.arranged(a, [*heads, rows, inner], (1, count, depth))
    made = reading.output()
    weight_quant = bias_quant = None
    bias = np.zeros(outputs, np.float32)
    if quant is not None:
        weight_quant = Quantization((quant.scale,) * outputs, 0, 0)
        bias, bias_quant = np.zeros(outputs, np.int32), reading.bias_quant(a.value, weight_quant)
    names = (
        series,
        reading.add_constant(reading.file_tensor(1).name, weight[:, None], weight_quant),
        reading.add_constant(f"{made.name}/bias", bias, bias_quant),
    )
    reading.place(reading.fit(reading.emit("conv1d", names, Conv1d())))
