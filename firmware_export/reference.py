"""Run a graph, float or int8, over many windows with the numpy references of its ops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import UnsupportedOpError, UsageError
from firmware_export.graph import Graph, Node
from firmware_export.ops import is_stateful, op_of
from firmware_export.ops.op import Outputs
from firmware_export.wide_kernels import run_wide

BATCH = 32  # windows at once: intermediate results of a HAR network then stay within the processor's cache
RECURRENT_BATCH = 128  # every step of an LSTM is twenty calls whose cost the windows share

Array = NDArray[Any]
Windows = Array | Sequence[Array]  # an array [N, ...] an input, in order; bare where there is one input


def per_input(windows: Windows) -> tuple[Array, ...]:
    """Return windows as one array an input."""
    return (windows,) if isinstance(windows, np.ndarray) else tuple(windows)


def run(graph: Graph, windows: Windows) -> tuple[Array, ...]:
    """Return each output of the graph, ``[N, K]``, for windows ``[N, ...]`` of each input's type.

    Raises:
        UsageError: the windows are not of the inputs' shapes and types.
        UnsupportedOpError: an int8 graph holds an op that exists in float only.
    """
    rows = [[values[name] for name in graph.outputs] for values in activations(graph, windows)]
    return tuple(np.concatenate(parts) for parts in zip(*rows, strict=True))


def activations(graph: Graph, windows: Windows) -> Iterator[dict[str, Array]]:
    """Yield all activations by name, a batch of windows at a time. Raises as :func:`run`."""
    for values in batches(graph, windows):
        for node in graph.nodes:
            values.update(_run(graph, node, values))
        yield values


def batches(graph: Graph, windows: Windows) -> Iterator[dict[str, Array]]:
    """Yield the inputs by name, a batch of windows at a time.

    Raises:
        UsageError: the windows are not of the inputs' shapes and types, or there is none.
    """
    given = per_input(windows)
    if len(given) != len(graph.inputs):
        raise UsageError(
            f"windows for {len(given)} inputs, the graph has {len(graph.inputs)}: {', '.join(graph.inputs)}"
        )
    for name, array in zip(graph.inputs, given, strict=True):
        expected = graph.values[name]
        fits = array.shape[1:] == expected.shape[1:] and array.dtype == np.dtype(expected.dtype)
        if not fits or not 0 < len(array) == len(given[0]):
            raise UsageError(
                f"windows are {array.dtype}{list(array.shape)}, the graph's input {name!r} takes "
                f"{expected.dtype}[N, {', '.join(map(str, expected.shape[1:]))}] with N >= 1, the same for every input"
            )
    batch = RECURRENT_BATCH if is_stateful(graph) else BATCH
    for start in range(0, len(given[0]), batch):
        yield {name: array[start : start + batch] for name, array in zip(graph.inputs, given, strict=True)}


def run_node(graph: Graph, node: Node, values: dict[str, Array]) -> Array:
    """Return a node's output for these activations, in the precision of the graph. Raises as :func:`run`."""
    return _run(graph, node, values)[node.output]


def _run(graph: Graph, node: Node, values: dict[str, Array]) -> dict[str, Array]:
    """Return the node's output and the states behind it, by name."""
    op = op_of(node)
    operands = [graph.values[name] for name in node.inputs]
    inputs = [values[v.name] if v.data is None else v.data for v in operands]
    output, *states = (graph.values[name] for name in node.outputs)
    result: Outputs
    if output.dtype == "int16":
        result = run_wide(node, inputs, [v.quantization for v in (*operands, *states)], output.quantization)
    elif output.dtype == "float32":
        result = op.float32(node.attrs, inputs)
    elif op.int8 is not None:
        quants = [v.quantization for v in (*operands, *states)]
        result = op.int8(node.attrs, inputs, quants, output.quantization)
    else:
        raise UnsupportedOpError(f"op {node.op!r} (node {node.name!r}) has no int8 form; a pass should have removed it")
    return dict(zip(node.outputs, result if isinstance(result, tuple) else (result,), strict=True))
