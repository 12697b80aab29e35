"""What stands in a ``.tflite`` file: tensors and operators as plain records, checked for size before use.

Source of the field numbers: TFLite's ``schema.fbs``; a field's number is its place in its table, from 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgehar.errors import ExportError
from firmware_export.graph import Quantization, Shape
from firmware_export.tflite_reader.flatbuffer import Table, damaged, root

MOST_OPERATORS = 10_000
MOST_TENSORS = 50_000
MOST_OPERANDS = 256  # of one operator
MOST_AXES = 8
MOST_NUMBERS = 2**22  # of one activation: what a VGG network of 224 x 224 images has after its first layer
IDENTIFIER = b"TFL3"

BUILTIN_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_DTYPES = {
    schema.TensorType.FLOAT32: "float32",
    schema.TensorType.FLOAT16: "float16",
    schema.TensorType.INT8: "int8",
    schema.TensorType.UINT8: "uint8",
    schema.TensorType.INT16: "int16",
    schema.TensorType.INT32: "int32",
    schema.TensorType.INT64: "int64",
}


@dataclass(frozen=True, eq=False)
class FileTensor:
    """One tensor.

    Attributes:
        index: in the file's list.
        name: may be empty or not unique.
        shape: lengths of its axes, none negative.
        dtype: numpy's name, or "type N" for one that we do not read.
        raw: bytes of a constant, None for what is computed.
        scales, zero_points: empty for float.
        axis: that several scales run along.
    """

    index: int
    name: str
    shape: Shape
    dtype: str
    raw: NDArray[np.uint8] | None
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int

    def __str__(self) -> str:
        return f"tensor {self.index} ({self.name!r}, {self.dtype}{list(self.shape)})"

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def data(self) -> NDArray[Any]:
        """Numbers of a constant.

        Raises:
            ExportError: it has none, or not as many as its shape says.
        """
        if self.raw is None or self.dtype not in _DTYPES.values():
            raise ExportError(f"{self} holds no numbers that can be read")
        dtype = np.dtype(self.dtype).newbyteorder("<")
        if self.raw.size != self.size * dtype.itemsize:
            raise damaged(f"{self} has {self.raw.size} bytes, its shape needs {self.size * dtype.itemsize}")
        return np.frombuffer(self.raw.tobytes(), dtype).reshape(self.shape).astype(self.dtype)

    @property
    def quant(self) -> Quantization:
        """Scale and zero point of an activation.

        Raises:
            ExportError: there is not exactly one of each, or they are out of range.
        """
        limits = np.iinfo(self.dtype) if self.dtype in ("int8", "int16", "uint8") else None
        if limits is None or len(self.scales) != 1 or len(self.zero_points) != 1:
            raise ExportError(
                f"{self} has {len(self.scales)} scales and {len(self.zero_points)} zero points, an activation needs "
                "one of each and 8 or 16 bits; convert with full integer quantization"
            )
        if not limits.min <= self.zero_points[0] <= limits.max:
            raise ExportError(f"{self} has the zero point {self.zero_points[0]}, expected {limits.min}..{limits.max}")
        try:
            return Quantization((float(self.scales[0]),), int(self.zero_points[0]))
        except ValueError as error:
            raise ExportError(f"{self}: {error}") from None


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator: its place from 1, its builtin's name, tensor indices (-1: left out), and its options."""

    place: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Return an integer of the options."""
        return default if self.options is None else self.options.number(field, kind, default)


@dataclass(frozen=True, eq=False)
class TfliteFile:
    """The main graph of a file."""

    tensors: tuple[FileTensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def is_tflite(data: bytes) -> bool:
    """Return whether a file says that it is a ``.tflite``."""
    return data[4:8] == IDENTIFIER


def open_file(data: bytes) -> TfliteFile:
    """Return what stands in a file.

    Raises:
        ExportError: it is no ``.tflite`` file, it is damaged, or it is larger than what a device runs.
    """
    model = root(data, IDENTIFIER)
    subgraphs = model.tables(2, MOST_OPERATORS)
    if len(subgraphs) != 1:
        raise ExportError(f"the .tflite file has {len(subgraphs)} subgraphs, expected 1; control flow is not supported")
    names = [_operator_name(code) for code in model.tables(1, MOST_OPERATORS)]
    buffers = model.tables(4, 2 * MOST_TENSORS)
    (graph,) = subgraphs
    tensors = tuple(_tensor(i, t, buffers) for i, t in enumerate(graph.tables(0, MOST_TENSORS)))
    operators = tuple(_operator(i, o, names) for i, o in enumerate(graph.tables(3, MOST_OPERATORS), start=1))
    file = TfliteFile(tensors, operators, _indices(graph, 1), _indices(graph, 2))
    for index in (*file.inputs, *file.outputs, *(i for o in operators for i in (*o.inputs, *o.outputs))):
        if not -1 <= index < len(tensors):
            raise damaged(f"it names tensor {index} of {len(tensors)}")
    if not file.inputs or not file.outputs or min(*file.inputs, *file.outputs) < 0:
        raise damaged(f"the graph's inputs are {file.inputs}, its outputs {file.outputs}")
    return file


def _operator_name(code: Table) -> str:
    """The old field has 8 bits; its largest value says that the new one counts."""
    number = max(code.number(0, "b"), code.number(3, "i"))
    name = BUILTIN_NAMES.get(number, f"number {number}")
    return f"CUSTOM {code.text(1)!r}" if name == "CUSTOM" else name


def _tensor(index: int, table: Table, buffers: list[Table]) -> FileTensor:
    shape = table.vector(0, "int32")
    lengths = () if shape is None else tuple(int(n) for n in shape[: MOST_AXES + 1])
    buffer = table.number(2, "I")
    if buffer >= len(buffers):
        raise damaged(f"tensor {index} names buffer {buffer} of {len(buffers)}")
    raw = buffers[buffer].vector(0, "uint8")
    most = MOST_NUMBERS if raw is None else max(MOST_NUMBERS, raw.size)  # a constant has its bytes in the file
    if len(lengths) > MOST_AXES or any(n < 0 for n in lengths) or math.prod(lengths) > most:
        raise ExportError(
            f"tensor {index} has the shape {list(lengths)}; at most {MOST_AXES} axes, {MOST_NUMBERS} numbers are read"
        )
    kind = table.number(1, "b")
    quantization = table.table(4)
    scales = zero_points = None
    axis = 0
    if quantization is not None:
        scales, zero_points = quantization.vector(2, "float32"), quantization.vector(3, "int64")
        axis = quantization.number(6, "i")
    return FileTensor(
        index,
        table.text(3),
        lengths,
        _DTYPES.get(kind, f"type {kind}"),
        None if raw is None or raw.size == 0 else raw,
        np.zeros(0, np.float32) if scales is None else scales,
        np.zeros(0, np.int64) if zero_points is None else zero_points,
        axis,
    )


def _operator(place: int, table: Table, names: list[str]) -> Operator:
    code = table.number(0, "I")
    if code >= len(names):
        raise damaged(f"operator {place} has kind {code} of {len(names)}")
    return Operator(place, names[code], _indices(table, 1), _indices(table, 2), table.table(4))


def _indices(table: Table, field: int) -> tuple[int, ...]:
    found = table.vector(field, "int32")
    if found is not None and found.size > MOST_OPERANDS:
        raise ExportError(f"the .tflite file lists {found.size} tensors at one place, at most {MOST_OPERANDS} are read")
    return () if found is None else tuple(found.tolist())
