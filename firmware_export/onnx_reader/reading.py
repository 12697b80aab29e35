"""State of one reading of an ONNX file: what was built so far, and in which order each tensor's axes lie.

ONNX convolves ``[N, C, T]``, our graph holds ``[N, T, C]``. No transpose is ever emitted: a tensor remembers how its
ONNX axes relate to ours, and whoever consumes it takes that into account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgehar.errors import ExportError, UnsupportedOpError
from firmware_export.graph import Attrs, Node, Shape, Value
from firmware_export.onnx_reader.stored import Stored, fixed_integers
from firmware_export.ops import OPS

Axes = tuple[int | None, ...]
ROWS: Axes = (0, 1)  # [N, K]
SERIES: Axes = (0, 1, 2)  # [N, T, C] in the file too
CHANNELS_FIRST: Axes = (0, 2, 1)  # the file means [N, C, T]
IMAGE: Axes = (0, 3, 1, 2)  # our [N, H, W, C] is [N, C, H, W] in the file
SCOPES = "pkg.torch.onnx.name_scopes"  # a node's metadata: list of module paths, outermost first
SPLIT = -1  # the file has our last axis as two; this is the first of them


@dataclass(frozen=True)
class Tensor:
    """An ONNX activation and where it is in our graph.

    Attributes:
        name: of our value.
        shape: of our value.
        axes: for each axis in the file, ours; None is an axis of length 1 that only the file has.
        steps: T (or H * W) of a flattened series (or image) whose numbers the file has as ``C * T`` and we as
            ``T * C``; 1 otherwise.
        split: length of the axis ``SPLIT`` (directions of an LSTM, before the file merges them with its units).
    """

    name: str
    shape: Shape
    axes: Axes
    steps: int = 1
    split: int = 1

    @property
    def onnx_shape(self) -> Shape:
        """The shape that the file means."""
        lengths: dict[int | None, int] = {None: 1, SPLIT: self.split, **dict(enumerate(self.shape))}
        lengths[len(self.shape) - 1] //= self.split
        return tuple(lengths[axis] for axis in self.axes)

    @property
    def in_our_order(self) -> bool:
        """Whether the file lays the numbers out as we do."""
        moved = [axis for axis in self.axes if axis is not None and self.shape[axis] != 1]
        return moved == sorted(moved) and (self.steps == 1 or self.steps == self.shape[1])

    def channel_vector(self, vector: NDArray[Any]) -> NDArray[Any]:
        """Return a vector along the ONNX channel axis in the order of our last axis."""
        return vector if self.steps == 1 else vector[self.permutation]

    @property
    def permutation(self) -> NDArray[np.intp]:
        """For each of our flat positions ``t * C + c`` the ONNX position ``c * T + t``."""
        return np.arange(self.shape[1]).reshape(-1, self.steps).T.reshape(-1)


@dataclass
class Reading:
    """What has been read so far."""

    count: int  # nodes in the file
    place: int = 0  # of the node being read, from 1
    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)  # by ONNX name
    lengths: dict[str, Tensor] = field(default_factory=dict)  # by ONNX name of a Euclidean length: of whose columns
    stored: dict[str, Stored] = field(default_factory=dict)  # by ONNX name of a constant that the file has as integers

    def refuse(self, node: ir.Node, reason: str) -> UnsupportedOpError:
        """Return the error that names operator, node and place."""
        name = node.name or "unnamed"
        reads = ", ".join(repr(v.name) for v in node.inputs if v is not None)
        scope = _module_path(node)
        place = f"{self.place} of {self.count}, reads {reads}" + (f", in module {scope!r}" if scope else "")
        return UnsupportedOpError(f"ONNX operator {node.op_type} (node {name!r}, {place}): {reason}")

    def tensor(self, node: ir.Node, index: int) -> Tensor:
        """Return an input that is computed while running, its directions merged."""
        found = self.unmerged(node, index)
        if found.split > 1:
            raise self.refuse(
                node, f"input {index} {list(found.onnx_shape)} has the directions of an LSTM apart; merge them first"
            )
        return found

    def unmerged(self, node: ir.Node, index: int) -> Tensor:
        """Return an input that is computed while running, as the file has it."""
        value = node.inputs[index] if index < len(node.inputs) else None
        if value is None or value.name not in self.tensors:
            raise self.refuse(node, f"input {index} is a constant or missing, expected an activation")
        return self.tensors[value.name]

    def constant(self, node: ir.Node, index: int) -> NDArray[Any] | None:
        """Return a constant input, None where it is left out.

        Raises:
            UnsupportedOpError: it is computed while running.
        """
        given = node.inputs[index] if index < len(node.inputs) else None
        if given is None:
            return None
        data = constant_of(given)
        if data is None:
            raise self.refuse(
                node,
                f"input {index} is computed while running, expected a constant; export with fixed shapes and "
                "constant folding",
            )
        return data

    def required(self, node: ir.Node, index: int) -> NDArray[Any]:
        """Return a constant input that must be there."""
        data = self.constant(node, index)
        if data is None:
            raise self.refuse(node, f"input {index} is missing")
        return data

    def add_index(self, name: str, places: NDArray[Any]) -> str:
        """Add whole numbers that choose under ``name``; return it."""
        self.values[name] = Value(name, places.shape, "int32", data=np.ascontiguousarray(places, np.int32))
        return name

    def add_constant(self, name: str, data: NDArray[Any]) -> str:
        """Add float numbers under a name near ``name``; return the name they got.

        Integers that the file keeps under ``name`` stay with them.
        """
        unique, n = name, 2
        while unique in self.values:
            unique, n = f"{name}_{n}", n + 1
        array = np.ascontiguousarray(data, np.float32)
        fixed = fixed_integers(data, self.stored[name]) if name in self.stored else None
        self.values[unique] = Value(unique, array.shape, data=array, fixed=fixed)
        return unique

    def add(
        self,
        node: ir.Node,
        op: str,
        inputs: Sequence[str],
        attrs: Attrs,
        axes: Axes,
        *,
        output: str | None = None,
        states: Sequence[str] = (),
        steps: int = 1,
    ) -> Tensor:
        """Append a node of our graph; its output becomes that of the ONNX node unless it is named otherwise.

        ``states`` name further outputs, of the output's shape.
        """
        onnx_name = name_of(node.outputs[0])
        name = output or onnx_name
        try:
            shape = OPS[op].shape(attrs, [self.values[i].shape for i in inputs])
        except (ExportError, ValueError) as error:
            raise self.refuse(node, str(error)) from None
        self.values.update((each, Value(each, shape)) for each in (name, *states))
        self.nodes.append(Node(op, f"{node.name or onnx_name}", tuple(inputs), (name, *states), attrs))
        tensor = Tensor(name, shape, axes, steps)
        if output is None:
            self.tensors[onnx_name] = tensor
        return tensor

    def alias(self, node: ir.Node, tensor: Tensor) -> None:
        """Make the ONNX node's output another name of a tensor."""
        self.tensors[name_of(node.outputs[0])] = tensor


def _module_path(node: ir.Node) -> str:
    """Return where in the user's module PyTorch's exporter met a node, such as ``encoder.layers.0``; "" if unknown."""
    scopes = re.findall(r"'([^']*)'", node.metadata_props.get(SCOPES, ""))
    return str(scopes[-2]) if len(scopes) > 1 else ""  # the last is the operation itself


def name_of(value: ir.Value | None) -> str:
    """Return the name of a value that is there."""
    if value is None or not value.name:
        raise ExportError("an ONNX value has no name; save the model with onnx.save and try again")
    return value.name


def constant_of(value: ir.Value) -> NDArray[Any] | None:
    """Return the numbers of an initializer or Constant node, None for anything else."""
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else np.asarray(tensor.numpy())


def attribute(node: ir.Node, name: str, default: Any) -> Any:
    """Return an attribute's value as plain numbers, strings or tuples."""
    found: Mapping[str, ir.Attr] = node.attributes
    if name not in found:
        return default
    value = found[name].value
    return tuple(value) if isinstance(value, list | tuple) else value
