"""The operators of the graph, one a file. To add one: its file, its line in ``OPS``, its conformance cases."""

from __future__ import annotations

from collections.abc import Mapping

from edgehar.errors import UnsupportedOpError
from firmware_export.graph import Graph, Node
from firmware_export.ops.add import ADD
from firmware_export.ops.add_constant import ADD_CONSTANT
from firmware_export.ops.average_pool1d import AVERAGE_POOL1D
from firmware_export.ops.average_pool2d import AVERAGE_POOL2D
from firmware_export.ops.batch_matmul import BATCH_MATMUL
from firmware_export.ops.batch_norm import BATCH_NORM
from firmware_export.ops.concat import CONCAT
from firmware_export.ops.conv1d import CONV1D
from firmware_export.ops.conv2d import CONV2D
from firmware_export.ops.crop1d import CROP1D
from firmware_export.ops.dense import DENSE
from firmware_export.ops.depthwise_conv1d import DEPTHWISE_CONV1D
from firmware_export.ops.depthwise_conv2d import DEPTHWISE_CONV2D
from firmware_export.ops.forest import FOREST
from firmware_export.ops.l2_norm import L2_NORM
from firmware_export.ops.lstm import LSTM
from firmware_export.ops.max_pool1d import MAX_POOL1D
from firmware_export.ops.max_pool2d import MAX_POOL2D
from firmware_export.ops.mean import MEAN
from firmware_export.ops.op import Op
from firmware_export.ops.relu import RELU
from firmware_export.ops.requantize import REQUANTIZE
from firmware_export.ops.reshape import RESHAPE
from firmware_export.ops.reverse import REVERSE
from firmware_export.ops.softmax import SOFTMAX
from firmware_export.ops.transpose import TRANSPOSE

OPS: Mapping[str, Op] = {
    "add": ADD,
    "add_constant": ADD_CONSTANT,
    "average_pool1d": AVERAGE_POOL1D,
    "average_pool2d": AVERAGE_POOL2D,
    "batch_matmul": BATCH_MATMUL,
    "batch_norm": BATCH_NORM,
    "concat": CONCAT,
    "conv1d": CONV1D,
    "conv2d": CONV2D,
    "crop1d": CROP1D,
    "dense": DENSE,
    "depthwise_conv1d": DEPTHWISE_CONV1D,
    "depthwise_conv2d": DEPTHWISE_CONV2D,
    "forest": FOREST,
    "l2_norm": L2_NORM,
    "lstm": LSTM,
    "max_pool1d": MAX_POOL1D,
    "max_pool2d": MAX_POOL2D,
    "mean": MEAN,
    "relu": RELU,
    "requantize": REQUANTIZE,
    "reshape": RESHAPE,
    "reverse": REVERSE,
    "softmax": SOFTMAX,
    "transpose": TRANSPOSE,
}


def op_of(node: Node) -> Op:
    """Return the record of a node's op.

    Raises:
        UnsupportedOpError: there is none.
    """
    op = OPS.get(node.op)
    if op is None:
        raise UnsupportedOpError(f"op {node.op!r} (node {node.name!r}) is not known; known are {', '.join(OPS)}")
    return op


def node_macs(graph: Graph, node: Node) -> int:
    """Return the multiply-accumulates of a node for one window."""
    shapes = [graph.values[name].shape for name in node.inputs]
    return op_of(node).macs(node.attrs, shapes, graph.values[node.output].shape)


def is_stateful(graph: Graph) -> bool:
    """Return whether interpreters keep state between windows, which they must then reset before each."""
    return any(op_of(node).stateful for node in graph.nodes)
