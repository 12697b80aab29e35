"""Any ``.tflite``, float or int8, to our graph: our own files and a stranger's.

The graph takes and gives what the file does, in the file's shapes. An int8 file keeps its integers and scales; a float
one goes on through passes, calibration and our quantizer. Each operator means what TFLite Micro computes.
To read one more operator: a function in a file here, a line in ``READERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgehar.errors import ExportError
from firmware_export.graph import Graph, Quantization, Value, assemble, renamed
from firmware_export.ops import node_macs
from firmware_export.tflite_reader import (
    arithmetic,
    attention,
    convolution,
    pooling,
    recurrent,
    shapes,
    slicing,
    trees,
)
from firmware_export.tflite_reader.file import TfliteFile, is_tflite, open_file
from firmware_export.tflite_reader.reading import Reading, canonical
from firmware_export.tflite_reader.shapes import MOST_OUR_AXES

__all__ = ["READERS", "is_tflite", "read_tflite"]

READERS: Mapping[str, Callable[[Reading], None]] = {
    "ADD": arithmetic.read_add,
    "AVERAGE_POOL_2D": pooling.read_average_pool_2d,
    "BATCH_MATMUL": attention.read_batch_matmul,
    "CAST": trees.read_cast,
    "CONCATENATION": shapes.read_concatenation,
    "CONV_2D": convolution.read_conv_2d,
    "DEPTHWISE_CONV_2D": convolution.read_depthwise_conv_2d,
    "DEQUANTIZE": arithmetic.read_dequantize,
    "DIV": arithmetic.read_div,
    "EXPAND_DIMS": shapes.read_reshape,
    "FULLY_CONNECTED": convolution.read_fully_connected,
    "GATHER": slicing.read_gather,
    "GREATER": trees.read_greater,
    "L2_NORMALIZATION": arithmetic.read_l2_normalization,
    "MAX_POOL_2D": pooling.read_max_pool_2d,
    "MEAN": pooling.read_mean,
    "MUL": arithmetic.read_mul,
    "PAD": shapes.read_pad,
    "QUANTIZE": arithmetic.read_quantize,
    "RELU": arithmetic.read_relu,
    "RELU6": arithmetic.read_relu6,
    "RESHAPE": shapes.read_reshape,
    "REVERSE_V2": shapes.read_reverse_v2,
    "SLICE": slicing.read_slice,
    "SOFTMAX": arithmetic.read_softmax,
    "SPLIT": slicing.read_split,
    "SQUEEZE": shapes.read_reshape,
    "STRIDED_SLICE": slicing.read_strided_slice,
    "SUB": arithmetic.read_sub,
    "TRANSPOSE": shapes.read_transpose,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": recurrent.read_lstm,
}

MOST_MACS = 2**32  # of one window, and
MOST_ACTIVATIONS = 2**25  # numbers: what a device of ours runs, with three orders of magnitude to spare


def read_tflite(data: bytes) -> Graph:
    """Return the graph of a ``.tflite`` file: float, or with the integers of an int8 file.

    Raises:
        ExportError: it is no such file, it is damaged, or it is larger than what a device runs.
        UnsupportedOpError: an operator, or a setting of one, is not known; names operator, output and place.
    """
    file = open_file(data)
    if not file.operators:
        raise ExportError("the .tflite file has no operators; there is nothing to run")
    reading = Reading(file, file.operators[0])
    for index in file.inputs:
        _read_input(reading, index)
    for reading.operator in file.operators:
        reader = READERS.get(reading.operator.name)
        if reader is None:
            raise reading.refuse(f"this operator is not known; known are {', '.join(READERS)}")
        reader(reading)
    graph = _finished(reading, file)
    macs = sum(node_macs(graph, node) for node in graph.nodes)
    numbers = sum(_size(value) for value in graph.activations)
    if macs > MOST_MACS or numbers > MOST_ACTIVATIONS:
        raise ExportError(
            f"the network takes {macs} multiply-accumulates and {numbers} activations a window, at most {MOST_MACS} "
            f"and {MOST_ACTIVATIONS} are read"
        )
    return graph


def _size(value: Value) -> int:
    size = 1
    for n in value.shape:
        size *= n
    return size


def _read_input(reading: Reading, index: int) -> None:
    """In the file's shape where that begins with a batch of 1 and has two to four axes."""
    tensor = reading.file.tensors[index]
    if index in reading.tensors or 0 in tensor.shape:
        raise ExportError(f"{tensor} is an input twice, or holds nothing")
    kept = tensor.shape[:1] == (1,) and 2 <= len(tensor.shape) <= MOST_OUR_AXES
    shape = tensor.shape if kept else canonical(tensor.shape)
    if len(shape) > MOST_OUR_AXES:
        raise ExportError(f"{tensor} is an input of more than {MOST_OUR_AXES - 1} axes longer than 1")
    name = reading.name(tensor.name or "input")
    if tensor.dtype == "float32":
        value = Value(name, shape)
    elif tensor.dtype in ("int8", "int16"):
        value = Value(name, shape, "int8" if tensor.dtype == "int8" else "int16", tensor.quant)
    elif tensor.dtype == "uint8":
        quant = Quantization(tensor.quant.scales, tensor.quant.zero_point - arithmetic.UNSIGNED_OFFSET)
        value = Value(name, shape, "int8", quant)
    else:
        raise ExportError(f"{tensor} is an input of this type, expected float32, int8, int16, or uint8 before QUANTIZE")
    reading.values[name] = value
    reading.input_values.append(name)
    reading.tensors[index] = reading.laid(name, tensor.shape)


def _finished(reading: Reading, file: TfliteFile) -> Graph:
    outputs, names = [], {}
    for index in file.outputs:
        tensor = file.tensors[index]
        found = reading.tensors.get(index)
        if found is None or found.padding:
            raise ExportError(f"{tensor} is an output, but constant, padded, or computed by no operator")
        kept = tensor.shape[:1] == (1,) and 2 <= len(tensor.shape) <= MOST_OUR_AXES
        value = reading.shaped(found, tensor.shape if kept else canonical(tensor.shape))
        outputs.append(value)
        names[value] = tensor.name
    graph = assemble(reading.input_values, outputs, reading.nodes, reading.values.values())
    return renamed(graph, {old: new for old, new in names.items() if new and new not in graph.values})
