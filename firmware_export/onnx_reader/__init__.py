"""Any float ``.onnx`` over windows to our graph, ours or a stranger's.

To read one more operator: a function in a file here, a line in ``READERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx_ir as ir

from edgehar.errors import ExportError, MissingExtraError
from firmware_export.graph import Graph, Shape, Value, assemble
from firmware_export.onnx_reader import (
    arithmetic,
    attention,
    convolution,
    dense,
    pooling,
    recurrent,
    shapes,
    slicing,
)
from firmware_export.onnx_reader.constants import fold_constants, is_folded
from firmware_export.onnx_reader.reading import CHANNELS_FIRST, ROWS, SERIES, Axes, Reading, Tensor, name_of

READERS: Mapping[str, Callable[[Reading, ir.Node], None]] = {
    "Add": arithmetic.read_add,
    "AveragePool": pooling.read_average_pool,
    "BatchNormalization": arithmetic.read_batch_normalization,
    "Clip": arithmetic.read_clip,
    "Concat": recurrent.read_concat,
    "Conv": convolution.read_conv,
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
    "Unsqueeze": shapes.read_unsqueeze,
}

_WANTS_CHANNELS_FIRST = ("AveragePool", "BatchNormalization", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")


def read_onnx(data: bytes) -> Graph:
    """Return the float graph of an ONNX file, batch 1, channels-last whatever the file's own layout.

    Raises:
        ExportError: it is no ONNX file, or its inputs or outputs are not of a kind we can place.
        UnsupportedOpError: an operator, or a setting of one, is not known; names operator, node and place.
    """
    model = _load(data)
    fold_constants(model.graph)
    nodes = [node for node in model.graph if not is_folded(node)]
    reading = Reading(count=len(nodes))
    inputs = [v for v in model.graph.inputs if v.name not in model.graph.initializers]
    for value in inputs:
        _read_input(reading, value)
    for reading.place, node in enumerate(nodes, start=1):
        reader = READERS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if reader is None:
            domain = f" of domain {node.domain!r}" if node.domain else ""
            raise reading.refuse(node, f"this operator{domain} is not known; known are {', '.join(READERS)}")
        reader(reading, node)
    outputs = [_output(reading, value) for value in model.graph.outputs]
    return assemble([name_of(v) for v in inputs], outputs, reading.nodes, reading.values.values())


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
    if len(dims) not in (2, 3) or len(known) != len(dims) - 1:
        raise ExportError(
            f"ONNX input {name!r} has shape {[str(d) for d in dims]}, expected [N, T, C], [N, C, T] or [N, K] "
            "with known T and C; export with a fixed window"
        )
    if value.dtype != ir.DataType.FLOAT:
        raise ExportError(f"ONNX input {name!r} is {value.dtype}, expected FLOAT")
    shape: Shape = (1, *known)
    axes: Axes = SERIES if len(shape) == 3 else ROWS
    if axes == SERIES and any(node.op_type in _WANTS_CHANNELS_FIRST for node, _ in value.uses()):
        axes, shape = CHANNELS_FIRST, (1, shape[2], shape[1])
    reading.values[name] = Value(name, shape)
    reading.tensors[name] = Tensor(name, shape, axes)


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
