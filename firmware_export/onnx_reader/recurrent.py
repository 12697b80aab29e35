"""ONNX ``LSTM``, one or two directions, states starting from zero; ``Concat`` of channels; ``Y_h`` of one direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from firmware_export.onnx_reader.reading import (
    ROWS,
    SERIES,
    SPLIT,
    Axes,
    Reading,
    Tensor,
    attribute,
    name_of,
)
from firmware_export.ops.concat import Concat
from firmware_export.ops.crop1d import Crop1d
from firmware_export.ops.lstm import Lstm
from firmware_export.ops.reshape import Reshape
from firmware_export.ops.reverse import Reverse
from firmware_export.ops.transpose import Transpose

ONNX_GATES = "iofc"
OUR_GATES = "ifco"
TIME_MAJOR: Axes = (1, 0, 2)  # the file means [T, N, I]
DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}  # reversed or not
ACTIVATIONS = ("Sigmoid", "Tanh", "Tanh")  # of gates, cell input, hidden state


def read_lstm(reading: Reading, node: ir.Node) -> None:
    """X ``[T, N, I]``, W ``[D, 4 H, I]``, R ``[D, 4 H, H]``, B ``[D, 8 H]`` (input, then recurrent biases).

    Source: ONNX LSTM; gates are stacked as i, o, f, c there.
    """
    x = _series(reading, node)
    weight, recurrent = reading.required(node, 1), reading.required(node, 2)
    directions = DIRECTIONS[attribute(node, "direction", "forward")]
    units = recurrent.shape[2]
    bias = reading.constant(node, 3)
    bias = np.zeros((len(directions), 8 * units), np.float32) if bias is None else bias
    _check(reading, node, x)
    name = name_of(node.outputs[0]) if node.outputs[0].name else f"{node.name}/Y"
    hidden = [
        _direction(reading, node, x, f"{name}/{'backward' if backward else 'forward'}", parts, backward=backward)
        for backward, parts in zip(directions, zip(weight, recurrent, bias, strict=True), strict=True)
    ]
    if len(hidden) == 2:
        y = reading.add(node, "concat", hidden, Concat(), SERIES, output=f"{name}/both")
        reading.tensors[name] = Tensor(y.name, y.shape, _y_axes(node, SPLIT), split=2)
    else:
        y = Tensor(hidden[0], reading.values[hidden[0]].shape, _y_axes(node, None))
        reading.tensors[name] = y
    _read_last_states(reading, node, y, directions)


def _series(reading: Reading, node: ir.Node) -> Tensor:
    x = reading.tensor(node, 0)
    expected = SERIES if attribute(node, "layout", 0) else TIME_MAJOR
    if x.axes != expected:
        raise reading.refuse(node, f"input {list(x.onnx_shape)} is no series in the layout that the node states")
    return x


def _y_axes(node: ir.Node, direction: int | None) -> Axes:
    return (0, 1, direction, 2) if attribute(node, "layout", 0) else (1, direction, 0, 2)


def _check(reading: Reading, node: ir.Node, x: Tensor) -> None:
    activations = attribute(node, "activations", ACTIVATIONS)
    if tuple(activations[:3]) != ACTIVATIONS or tuple(activations[3:]) not in ((), ACTIVATIONS):
        raise reading.refuse(node, f"activations {activations} are not supported, expected {', '.join(ACTIVATIONS)}")
    if attribute(node, "clip", 0.0) or attribute(node, "input_forget", 0):
        raise reading.refuse(node, "clip and input_forget are not supported")
    lengths = reading.constant(node, 4)
    if lengths is not None and (lengths != x.shape[1]).any():
        raise reading.refuse(node, f"sequence_lens {lengths.tolist()}, expected the whole window of {x.shape[1]}")
    for index, what in ((5, "initial_h"), (6, "initial_c"), (7, "peephole weights")):
        given = reading.constant(node, index)
        if given is not None and given.any():
            raise reading.refuse(node, f"{what} other than zero are not supported: a window starts from reset")


def _direction(
    reading: Reading, node: ir.Node, x: Tensor, name: str, parts: Sequence[NDArray[Any]], *, backward: bool
) -> str:
    """Append one direction; return its hidden states ``[1, T, H]`` in the order of time."""
    weight, recurrent, bias = parts
    constants = [
        reading.add_constant(f"{name}/{what}_{gate}", array)
        for what, stacked in (("W", weight), ("R", recurrent), ("b", bias.reshape(2, -1).sum(axis=0)))
        for gate, array in zip(OUR_GATES, _gates(stacked), strict=True)
    ]
    source, output = (f"{name}/series", f"{name}/reversed") if backward else (x.name, name)
    if backward:
        reading.add(node, "reverse", (x.name,), Reverse(), SERIES, output=source)
    inputs = (source, *constants)
    reading.add(node, "lstm", inputs, Lstm(), SERIES, output=output, states=(f"{output}/cells",))
    if backward:
        reading.add(node, "reverse", (output,), Reverse(), SERIES, output=name)
    return name


def _gates(stacked: NDArray[Any]) -> list[NDArray[Any]]:
    by_gate = dict(zip(ONNX_GATES, np.split(stacked, 4), strict=True))
    return [by_gate[gate] for gate in OUR_GATES]


def _read_last_states(reading: Reading, node: ir.Node, y: Tensor, directions: tuple[bool, ...]) -> None:
    """Y_h ``[D, N, H]`` is a step of the hidden states; Y_c is kept inside."""
    used = [i for i in (1, 2) if i < len(node.outputs) and node.outputs[i].uses()]
    if 2 in used:
        raise reading.refuse(node, "its last cell state (Y_c) is used, which is not supported; use the hidden states")
    if not used:
        return
    if len(directions) == 2:
        raise reading.refuse(
            node, "its last states (Y_h) of two directions are used; pool the output over time instead"
        )
    last = 0 if directions == (True,) else y.shape[1] - 1
    name = name_of(node.outputs[1])
    step = reading.add(node, "crop1d", (y.name,), Crop1d(last, 1), SERIES, output=f"{name}/step")
    row = reading.add(node, "reshape", (step.name,), Reshape((1, y.shape[2])), (0, 1), output=name)
    axes: Axes = (0, None, 1) if attribute(node, "layout", 0) else (None, 0, 1)
    reading.tensors[name] = Tensor(row.name, row.shape, axes)


def read_concat(reading: Reading, node: ir.Node) -> None:
    """Of channels."""
    parts = [_in_file_order(reading, node, reading.tensor(node, index)) for index in range(len(node.inputs))]
    x = parts[0]
    axis = int(attribute(node, "axis", 0)) % len(x.axes)
    if any(part.axes != x.axes for part in parts) or x.axes[axis] != len(x.shape) - 1:
        shapes = ", ".join(str(list(part.onnx_shape)) for part in parts)
        raise reading.refuse(node, f"concatenation of {shapes} along axis {axis}, expected channels side by side")
    reading.add(node, "concat", [part.name for part in parts], Concat(), x.axes)


def _in_file_order(reading: Reading, node: ir.Node, x: Tensor) -> Tensor:
    """Return a flattened series as the file lays it out, channel by channel; anything else as it is."""
    if x.steps == 1:
        return x
    steps, channels = x.steps, x.shape[1] // x.steps
    name = f"{name_of(node.outputs[0])}/{x.name}"
    series = reading.add(node, "reshape", (x.name,), Reshape((1, steps, channels)), SERIES, output=f"{name}/series")
    turned = reading.add(node, "transpose", (series.name,), Transpose((0, 2, 1)), SERIES, output=f"{name}/turned")
    return reading.add(node, "reshape", (turned.name,), Reshape(x.shape), ROWS, output=f"{name}/row")
