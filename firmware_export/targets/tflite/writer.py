"""Builds the flatbuffer: tensors, buffers, operators, in the schema's object form.

Three things the object form does not do by itself: buffers are aligned to 16 bytes (microcontrollers read weights in
place, and Python's flatbuffers ignores the schema's ``force_align``), operator codes carry the old 8-bit field too,
and each carries the version in which its int8 form appeared, so that readers from 2020 on accept the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from firmware_export.graph import DType, Graph, Quantization, Shape

ALIGNMENT = 16
SCHEMA_VERSION = 3
_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
}
_LARGEST_OLD_CODE = 127  # deprecated_builtin_code is a signed byte; its last value says "see builtin_code"


VERSIONS = {
    # (float32, int8, int16), from TFLite's op_version.cc
    schema.BuiltinOperator.ADD: (1, 2, 3),
    schema.BuiltinOperator.AVERAGE_POOL_2D: (1, 2, 3),
    schema.BuiltinOperator.BATCH_MATMUL: (1, 2, 3),
    schema.BuiltinOperator.CAST: (1, 1, 1),
    schema.BuiltinOperator.CONCATENATION: (1, 2, 3),
    schema.BuiltinOperator.CONV_2D: (1, 3, 4),
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: (2, 3, 5),
    schema.BuiltinOperator.GATHER: (1, 2, 4),
    schema.BuiltinOperator.GREATER: (1, 2, 3),
    schema.BuiltinOperator.L2_NORMALIZATION: (1, 2, 2),
    schema.BuiltinOperator.MAX_POOL_2D: (1, 2, 3),
    schema.BuiltinOperator.MEAN: (1, 2, 3),
    schema.BuiltinOperator.PAD: (1, 2, 3),
    schema.BuiltinOperator.QUANTIZE: (1, 1, 2),
    schema.BuiltinOperator.RELU: (1, 2, 3),
    schema.BuiltinOperator.RELU6: (1, 2, 3),
    schema.BuiltinOperator.RESHAPE: (1, 1, 1),
    schema.BuiltinOperator.REVERSE_V2: (1, 1, 1),
    schema.BuiltinOperator.SLICE: (1, 2, 4),
    schema.BuiltinOperator.SOFTMAX: (1, 2, 3),
    schema.BuiltinOperator.TRANSPOSE: (1, 2, 2),
    schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM: (1, 1, 1),
}
_COLUMNS = {
    schema.TensorType.FLOAT32: 0,
    schema.TensorType.INT32: 0,  # places; from the first version on
    schema.TensorType.INT8: 1,
    schema.TensorType.INT16: 2,
}
HYBRID_VERSIONS = {schema.BuiltinOperator.CONV_2D: 5, schema.BuiltinOperator.DEPTHWISE_CONV_2D: 6}  # int8 weights


def inner_shape(shape: Shape) -> Shape:
    """Return the shape in the file of our ``[1, T, C]`` or ``[1, K]``: four axes, time on W; an image has them."""
    if len(shape) == 4:
        return shape
    return (shape[0], 1, *shape[1:]) if len(shape) == 3 else (shape[0], 1, 1, shape[1])


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """Bytes that start at a multiple of 16 in the file."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (the schema's name)
        if self.data is None:
            return int(super().Pack(builder))
        builder.StartVector(1, len(self.data), ALIGNMENT)
        start = builder.head - len(self.data)
        builder.Bytes[start : builder.head] = self.data
        builder.head = start
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


class Writer:
    """One file in the making. Tensors are added when an emitter first asks for them.

    An activation has up to two forms: *inner*, four axes, for convolutions and pools, and *plain*, in the graph's own
    shape, for the ends of the network and for LSTMs. Who asks for the form that is not there gets it by a RESHAPE.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._buffers = [_buffer(None)]  # buffer 0 is empty by convention
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[tuple[int, int], int] = {}  # operator and version to their place in the file's list
        self._index: dict[str, int] = {}  # inner forms and constants
        self._plain: dict[str, int] = {}
        self._public = [self.plain(name) for name in graph.inputs]

    def tensor(self, name: str) -> int:
        """Return the index of an activation's inner form."""
        if name not in self._index and len(self.graph.values[name].shape) == 4:
            return self.plain(name)
        if name not in self._index:
            label = f"{name}/inner" if name in self.graph.outputs or name in self._plain else name
            self._index[name] = self.scratch(label, inner_shape(self.graph.values[name].shape), name)
            if name in self._plain:
                self.reshape(self._plain[name], self._index[name])
        return self._index[name]

    def plain(self, name: str) -> int:
        """Return the index of an activation's plain form."""
        if name not in self._plain:
            label = f"{name}/plain" if name in self._index and name not in self.graph.outputs else name
            self._plain[name] = self.scratch(label, self.graph.values[name].shape, name)
            if name in self._index:
                self.reshape(self._index[name], self._plain[name])
        return self._plain[name]

    def is_plain(self, name: str) -> bool:
        """Return whether an activation has its plain form and no other."""
        return name in self._plain and name not in self._index

    def variable(self, name: str, shape: Shape, dtype: DType, quant: Quantization | None) -> int:
        """Return the index of a state tensor, which keeps its numbers between invocations until it is reset."""
        index = self._add_tensor(name, shape, dtype, quant, None)
        self._tensors[index].isVariable = True
        return index

    def shape(self, tensor: int) -> Shape:
        """Return the shape of a tensor in the file."""
        return tuple(self._tensors[tensor].shape)

    def alias(self, name: str, other: str) -> None:
        """Let an activation be the tensor of another."""
        self._index[name] = self.tensor(other)

    def constant(self, name: str, shape: Shape, axis: int | None) -> int:
        """Return the index of a weight's or bias's tensor in TFLite's shape, its scales along ``axis``."""
        if name not in self._index:
            value = self.graph.values[name]
            if value.data is None:
                raise ValueError(f"{name!r} is not a constant")
            quant = value.quant
            if quant is not None and quant.axis is not None:
                quant = Quantization(quant.scales, quant.zero_point, axis)
            self._index[name] = self._add_tensor(name, shape, value.dtype, quant, value.data)
        return self._index[name]

    def numbers(self, name: str, data: Any) -> int:
        """Return the index of an int32 tensor that steers an operator (a shape, paddings)."""
        array = np.asarray(data, np.int32)
        return self._add_tensor(name, array.shape, "int32", None, array)

    def scratch(self, name: str, shape: Shape, like: str) -> int:
        """Return the index of an extra activation tensor with the type and scale of another."""
        value = self.graph.values[like]
        return self._add_tensor(name, shape, value.dtype, value.quant, None)

    def steering(self, name: str, shape: Shape, dtype: str) -> int:
        """Return the index of an extra tensor without scale that is computed while running: places, answers."""
        return self._add_tensor(name, shape, dtype, None, None)

    def operator(
        self,
        code: int,
        inputs: list[int],
        outputs: list[int],
        options: tuple[int, Any],
        intermediates: Sequence[int] = (),
    ) -> None:
        """Append an operator.

        Args:
            code: a ``schema.BuiltinOperator``.
            inputs: tensor indices, -1 for one that is left out.
            outputs: tensor indices.
            options: a ``schema.BuiltinOptions`` and the table of that kind (NONE and None).
            intermediates: tensors that tell the kernel the scales of numbers inside it.
        """
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault((code, self._version(code, inputs, outputs)), len(self._codes))
        operator.inputs, operator.outputs = inputs, outputs
        operator.builtinOptionsType, operator.builtinOptions = options
        if intermediates:
            operator.intermediates = list(intermediates)
        self._operators.append(operator)

    def reshape(self, source: int, target: int) -> None:
        """Append a RESHAPE from one tensor to another."""
        options = schema.ReshapeOptionsT()
        options.newShape = list(self.shape(target))
        inputs = [source, self.numbers(f"shape{len(self._operators)}", options.newShape)]
        self.operator(schema.BuiltinOperator.RESHAPE, inputs, [target], (schema.BuiltinOptions.ReshapeOptions, options))

    def finish(self, metadata: Mapping[str, bytes]) -> bytes:
        """Return the file."""
        subgraph = schema.SubGraphT()
        subgraph.name = "main"
        subgraph.inputs = self._public
        subgraph.outputs = [self.plain(name) for name in self.graph.outputs]
        subgraph.tensors, subgraph.operators = self._tensors, self._operators
        model = schema.ModelT()
        model.version, model.description = SCHEMA_VERSION, "edgehar"
        model.operatorCodes = [_operator_code(code, version) for code, version in self._codes]
        model.subgraphs = [subgraph]
        model.metadata = [self._metadata(name, data) for name, data in metadata.items()]
        model.buffers = self._buffers
        builder = flatbuffers.Builder(sum(len(b.data or b"") for b in self._buffers) + 4096)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _version(self, code: int, inputs: Sequence[int], outputs: Sequence[int]) -> int:
        """Return the version of an operator in which it learnt these types."""
        made = self._tensors[outputs[0]].type
        read = {self._tensors[index].type for index in inputs if index >= 0}
        if made == schema.TensorType.FLOAT32 and schema.TensorType.INT8 in read:
            return HYBRID_VERSIONS[code]
        worked_on = self._tensors[inputs[0]].type if made == schema.TensorType.BOOL else made
        return VERSIONS[code][_COLUMNS[worked_on]]

    def _add_tensor(self, name: str, shape: Shape, dtype: str, quant: Quantization | None, data: Any) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), _TYPES[dtype]
        tensor.buffer = 0 if data is None else self._add_buffer(np.ascontiguousarray(data).tobytes())
        if quant is not None:
            tensor.quantization = _parameters(quant)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _add_buffer(self, data: bytes) -> int:
        self._buffers.append(_buffer(data))
        return len(self._buffers) - 1

    def _metadata(self, name: str, data: bytes) -> Any:
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, self._add_buffer(data)
        return entry


def _buffer(data: bytes | None) -> _AlignedBuffer:
    buffer = _AlignedBuffer()
    buffer.data = data
    return buffer


def _parameters(quant: Quantization) -> Any:
    parameters = schema.QuantizationParametersT()
    parameters.scale = list(quant.scales)
    parameters.zeroPoint = [quant.zero_point] * len(quant.scales)
    parameters.quantizedDimension = 0 if quant.axis is None else quant.axis
    return parameters


def _operator_code(code: int, version: int) -> Any:
    operator_code = schema.OperatorCodeT()
    operator_code.builtinCode, operator_code.version = code, version
    operator_code.deprecatedBuiltinCode = min(code, _LARGEST_OLD_CODE)
    return operator_code
