"""Any float or QDQ ``.onnx`` over windows to our graph, ours or a stranger's.

A QDQ file's scales and integers stay with the values they belong to (``Value.fixed``), and quantizing keeps them.

To read one more operator: a function in a file here, a line in ``READERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from edgehar.errors import ExportError, MissingExtraError
from firmware_export.graph import Graph, Shape, Value, assemble, renamed
from firmware_export.onnx_reader import (
    arithmetic,
    attention,
    convolution,
    dense,
    pooling,
    quantized,
    recurrent,
    shapes,
    slicing,
    trees,
)
from firmware_export.onnx_reader.constants import fold_constants, is_folded
from firmware_export.onnx_reader.reading import CHANNELS_FIRST, IMAGE, ROWS, Reading, Tensor, name_of

READERS: Mapping[str, Callable[[Reading, ir.Node], None]] = {
    "Add": arithmetic.read_add,
    "AveragePool": pooling.read_average_pool,
    "BatchNormalization": arithmetic.read_batch_normalization,
    "Clip": arithmetic.read_clip,
    "Concat": recurrent.read_concat,
    "Conv": convolution.read_conv,
    "DequantizeLinear": quantized.read_dequantize,
    "Div": arithmetic.read_div,
    "Dropout": shapes.read_identity,
    "Expand": attention.read_expand,
    "Flatten": shapes.read_flatten,
    "Gather": slicing.read_gather,
    "Gemm": dense.read_gemm,
    "GlobalAveragePool": pooling.read_global_average_pool,
    "GlobalMaxPool": pooling.read_global_max_pool,
    "Identity": shapes.read_identity,
    "LSTM": recurrent.read_lstm,
    "LayerNormalization": attention.read_layer_normalization,
    "LpNormalization": attention.read_lp_normalization,
    "MatMul": attention.read_matmul,
    "MaxPool": pooling.read_max_pool,
    "Mul": arithmetic.read_mul,
    "QuantizeLinear": quantized.read_quantize,
    "ReduceL2": attention.read_reduce_l2,
    "ReduceMax": pooling.read_reduce_max,
    "ReduceMean": pooling.read_reduce_mean,
    "Relu": arithmetic.read_relu,
    "Reshape": shapes.read_reshape,
    "Slice": slicing.read_slice,
    "Softmax": arithmetic.read_softmax,
    "Squeeze": shapes.read_squeeze,
    "Sub": arithmetic.read_sub,
    "Transpose": shapes.read_transpose,
    "TreeEnsembleRegressor": trees.read_tree_ensemble,
    "Unsqueeze": shapes.read_unsqueeze,
}

# What onnx-ir and we raise where a constant's bytes or a setting's kind are not what the file says; both are read late.
DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, ZeroDivisionError, MemoryError)

_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
OTHER_DOOR = (
    "try the other converter (edgehar export RUN --converter litert, or litert-torch to a .tflite and export --from it)"
)
_CHANNELS_FIRST = {2: ROWS, 3: CHANNELS_FIRST, 4: IMAGE}  # by rank
_INPUT_TYPES = (ir.DataType.FLOAT, ir.DataType.INT8, ir.DataType.UINT8)
_WANTS_CHANNELS_FIRST = ("AveragePool", "BatchNormalization", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")


def read_onnx(data: bytes) -> Graph:
    """Return the float graph of an ONNX file, batch 1, channels-last whatever the file's own layout.

    What the file quantizes is fixed in it.

    Raises:
        ExportError: it is no ONNX file, or its inputs or outputs are not of a kind we can place.
        UnsupportedOpError: an operator, or a setting of one, is not known; names operator, node and place.
    """
    model = _load(data)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # a number that is none is refused where it is used
            return _graph_of(model)
    except DAMAGED as error:
        raise ExportError(
            f"the ONNX file is damaged: a constant or a setting cannot be read ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:120]}); export it again"
        ) from None


def _graph_of(model: ir.Model) -> Graph:
    stored = fold_constants(model.graph)
    nodes = [node for node in model.graph if not is_folded(node)]
    reading = Reading(count=len(nodes), stored=stored)
    inputs = [v for v in model.graph.inputs if v.name not in model.graph.initializers]
    for value in inputs:
        _read_input(reading, value)
    for reading.place, node in enumerate(nodes, start=1):
        reader = READERS.get(node.op_type) if node.domain in _DOMAINS else None
        if reader is None:
            domain = f" of domain {node.domain!r}" if node.domain else ""
            raise reading.refuse(
                node, f"this operator{domain} is not known; {OTHER_DOOR}; known are {', '.join(READERS)}"
            )
        reader(reading, node)
    for value in inputs:
        if value.dtype != ir.DataType.FLOAT and reading.values[name_of(value)].fixed is None:
            raise ExportError(f"ONNX input {value.name!r} is {value.dtype} and no DequantizeLinear says of which scale")
    outputs = [(_output(reading, value), name_of(value)) for value in model.graph.outputs]
    graph = assemble([name_of(v) for v in inputs], [o for o, _ in outputs], reading.nodes, reading.values.values())
    return renamed(graph, {ours: file for ours, file in outputs if file not in reading.values})


def _load(data: bytes) -> ir.Model:
    try:
        import onnx  # noqa: PLC0415 (onnx-ir reads bytes through it)
    except ImportError:
        raise MissingExtraError("onnx", "export", "reading an ONNX file") from None
    try:
        model: ir.Model = ir.from_proto(onnx.load_model_from_string(data))
    except Exception as error:  # protobuf and onnx-ir raise many types for damaged bytes
        raise ExportError(
            f"{len(data)} bytes are not a readable ONNX model ({type(error).__name__}); export it again"
        ) from None
    return model


def _read_input(reading: Reading, value: ir.Value) -> None:
    name = name_of(value)
    dims = list(value.shape) if value.shape is not None else []
    known = [d for d in dims[1:] if isinstance(d, int)]
    if len(dims) not in (2, 3, 4) or len(known) != len(dims) - 1:
        raise ExportError(
            f"ONNX input {name!r} has shape {[str(d) for d in dims]}, expected [N, T, C], [N, C, T], [N, C, H, W] or "
            "[N, K] with known lengths; export with a fixed window"
        )
    if value.dtype not in _INPUT_TYPES:
        raise ExportError(f"ONNX input {name!r} is {value.dtype}, expected FLOAT, or INT8 or UINT8 in a QDQ file")
    shape: Shape = (1, *known)
    axes = _CHANNELS_FIRST[len(shape)] if _is_channels_first(value) else tuple(range(len(shape)))
    ours = tuple(shape[axes.index(axis)] for axis in range(len(shape)))
    reading.values[name] = Value(name, ours)
    reading.tensors[name] = Tensor(name, ours, axes)


def _is_channels_first(value: ir.Value) -> bool:
    """Return whether an operator reads the value, rounded to integers or not, that wants channels after N."""
    readers = [node for node, _ in value.uses()]
    return any(
        node.op_type in _WANTS_CHANNELS_FIRST
        or (node.op_type in ("QuantizeLinear", "DequantizeLinear") and _is_channels_first(node.outputs[0]))
        for node in readers
    )


def _output(reading: Reading, value: ir.Value) -> str:
    tensor = reading.tensors.get(name_of(value))
    if tensor is None:
        raise ExportError(f"ONNX output {value.name!r} is a constant; the network does not use its input")
    if not tensor.in_our_order or None in tensor.axes:
        raise ExportError(
            f"ONNX output {value.name!r} is channels-first {list(tensor.onnx_shape)}, device files are channels-last; "
            "end the network with a transpose, a pool or a linear layer"
        )
    return tensor.name
