"""``.tflite`` files of strangers: any tensors and operators, as a converter of another house would lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

CODE, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions
_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
}
_KINDS = {
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "AVERAGE_POOL_2D": "Pool2D",
    "MAX_POOL_2D": "Pool2D",
    "FULLY_CONNECTED": "FullyConnected",
    "SOFTMAX": "Softmax",
    "MEAN": "Reducer",
    "ADD": "Add",
    "SUB": "Sub",
    "MUL": "Mul",
    "CONCATENATION": "Concatenation",
    "STRIDED_SLICE": "StridedSlice",
    "SQUEEZE": "Squeeze",
    "BATCH_MATMUL": "BatchMatMul",
}
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1, "EXPAND_DIMS": 1, "SQUEEZE": 1}


@dataclass
class TfliteFile:
    """One file in the making; tensors and operators in the order of the calls."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[bytes | None] = field(default_factory=lambda: [None])
    operators: list[Any] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "float32",
        scale: float | Sequence[float] | None = None,
        zero: int = 0,
        *,
        data: Any = None,
        axis: int = 0,
        name: str | None = None,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name = name if name is not None else f"t{len(self.tensors)}"
        tensor.shape, tensor.type = [int(n) for n in shape], _TYPES[dtype]
        tensor.buffer = 0
        if data is not None:
            tensor.buffer = len(self.buffers)
            self.buffers.append(np.ascontiguousarray(data, dtype).tobytes())
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32)).tolist()
            quant = schema.QuantizationParametersT()
            quant.scale, quant.zeroPoint, quant.quantizedDimension = scales, [zero] * len(scales), axis
            tensor.quantization = quant
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def numbers(self, data: Any) -> int:
        array = np.asarray(data, np.int32)
        return self.tensor(array.shape, "int32", data=array)

    def add(self, code: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> int:
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.setdefault(code, len(self.codes))
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if code in _KINDS:
            table = getattr(schema, f"{_KINDS[code]}OptionsT")()
            for key, value in options.items():
                assert hasattr(table, key), key
                setattr(table, key, value)
            operator.builtinOptionsType = getattr(OPTIONS, f"{_KINDS[code]}Options")
            operator.builtinOptions = table
        self.operators.append(operator)
        return outputs[0]

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        graph = schema.SubGraphT()
        graph.name, graph.inputs, graph.outputs = "main", list(inputs), list(outputs)
        graph.tensors, graph.operators = self.tensors, self.operators
        model = schema.ModelT()
        model.version, model.description, model.subgraphs = 3, "a stranger's", [graph]
        model.operatorCodes = []
        for code in self.codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.version = getattr(CODE, code), _VERSIONS.get(code, 2)
            entry.deprecatedBuiltinCode = min(entry.builtinCode, 127)
            model.operatorCodes.append(entry)
        model.buffers = []
        for data in self.buffers:
            buffer = schema.BufferT()
            buffer.data = None if data is None else list(data)
            model.buffers.append(buffer)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())
