"""State of one reading of a ``.tflite`` file: what was built so far, and in which order each tensor's axes lie.

TFLite is channels-last like our graph, but converters wrap convolutions over time in reshapes and transposes. None of
them is emitted as it stands: a tensor remembers how its axes in the file relate to ours, axes of length 1 are nowhere,
and only whoever needs the numbers in another order or shape appends a ``transpose`` or ``reshape``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import ExportError, UnsupportedOpError
from edgehar.signal import QuantParams
from firmware_export.affine import to_real
from firmware_export.graph import Attrs, DType, Node, Quantization, Shape, Value
from firmware_export.ops import OPS
from firmware_export.ops.op import FusedActivation, OutputScale
from firmware_export.ops.relu import Relu
from firmware_export.ops.reshape import Reshape
from firmware_export.ops.transpose import Transpose
from firmware_export.ops.window1d import Padding
from firmware_export.tflite_reader.file import MOST_NUMBERS, FileTensor, Operator, TfliteFile

MOST_PRODUCTS = 2**24  # numbers that a kernel sees at all its positions: the numpy reference lays them side by side
MOST_STEPS = 2**14  # of an LSTM
SAME_SCALE = 1e-3  # relative: of scales that the int8 specification fixes and converters write as decimals
ACTIVATIONS = {0: FusedActivation.NONE, 1: FusedActivation.RELU, 3: FusedActivation.RELU6}  # ActivationFunctionType

Axes = tuple[int | None, ...]


@dataclass(frozen=True)
class Tensor:
    """An activation of the file and where it is in our graph.

    Attributes:
        value: name of ours.
        shape: of the file.
        axes: for each axis of the file ours, None where its length is 1.
        padding: zeros around each axis of the file that a PAD added and no operator has taken in yet; the shape does
            not count them.
    """

    value: str
    shape: Shape
    axes: Axes
    padding: tuple[Padding, ...] = ()

    @property
    def padded_shape(self) -> Shape:
        """The shape with its padding."""
        return tuple(n + sum(p) for n, p in zip(self.shape, self.padding or ((0, 0),) * len(self.shape), strict=True))


class Stage:
    """Base of what is remembered of a tensor inside a pattern of several operators."""


@dataclass
class Reading:
    """What has been read so far."""

    file: TfliteFile
    operator: Operator  # being read
    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[int, Tensor] = field(default_factory=dict)  # by index in the file
    folded: dict[int, NDArray[Any]] = field(default_factory=dict)  # constants that operators on constants gave
    input_values: list[str] = field(default_factory=list)  # the network's
    stages: dict[int, Stage] = field(default_factory=dict)  # tensors inside a pattern that is one op of ours
    _arranged: dict[tuple[str, tuple[int, ...], Shape], str] = field(default_factory=dict)

    def refuse(self, reason: str) -> UnsupportedOpError:
        """Return the error that names operator and place."""
        operator = self.operator
        made = ", ".join(repr(self.file.tensors[i].name) for i in operator.outputs if i >= 0)
        return UnsupportedOpError(
            f"TFLite operator {operator.name} ({operator.place} of {len(self.file.operators)}, "
            f"computes {made or '?'}): {reason}"
        )

    # --- what an operator reads

    def file_tensor(self, index: int) -> FileTensor:
        """Return the file's record of an input.

        Raises:
            UnsupportedOpError: the operator has no such input.
        """
        inputs = self.operator.inputs
        if index >= len(inputs) or inputs[index] < 0:
            raise self.refuse(f"input {index} is missing")
        return self.file.tensors[inputs[index]]

    def has(self, index: int) -> bool:
        """Return whether an input is there."""
        return index < len(self.operator.inputs) and self.operator.inputs[index] >= 0

    def is_constant(self, index: int) -> bool:
        """Return whether an input is there and constant."""
        return self.has(index) and self._constant(self.operator.inputs[index]) is not None

    def output(self, index: int = 0) -> FileTensor:
        """Return the file's record of an output."""
        outputs = self.operator.outputs
        if index >= len(outputs) or outputs[index] < 0:
            raise self.refuse(f"output {index} is missing")
        return self.file.tensors[outputs[index]]

    def tensor(self, index: int) -> Tensor:
        """Return an input that is computed while running and has no padding around it.

        Raises:
            UnsupportedOpError: it is missing, constant, not computed yet, or padded.
        """
        found = self.padded(index)
        if found.padding:
            raise self.refuse("it reads a PAD, which only convolutions take in; change the model's padding")
        return found

    def padded(self, index: int) -> Tensor:
        """Return an input that is computed while running, with the padding around it."""
        found = self.tensors.get(self.file_tensor(index).index)
        if found is None:
            raise self.refuse(f"input {index} is a constant or nothing has computed it, expected an activation")
        return found

    def constant(self, index: int) -> NDArray[Any]:
        """Return a constant input as the file stores it, or as an operator on constants made it.

        Raises:
            UnsupportedOpError: it is computed while running.
        """
        given = self.file_tensor(index)
        data = self._constant(given.index)
        if data is None:
            raise self.refuse(f"input {index} is computed while running, expected a constant")
        return data

    def _constant(self, index: int) -> NDArray[Any] | None:
        if index in self.folded:
            return self.folded[index]
        tensor = self.file.tensors[index]
        return None if tensor.raw is None or index in self.tensors else tensor.data

    def steering(self, index: int) -> tuple[int, ...]:
        """Return a constant of a few integers that steers the operator: axes, a shape, paddings, flattened."""
        data = self.constant(index)
        if data.dtype.kind != "i" or data.size > 64:
            raise self.refuse(f"input {index} is {data.dtype}{list(data.shape)}, expected a few integers")
        return tuple(int(n) for n in data.reshape(-1))

    @property
    def dtype(self) -> DType:
        """Type of the activations that the operator works on, as its first computed input has it."""
        return self.values[self.padded(self.first_computed).value].dtype

    @property
    def first_computed(self) -> int:
        """Place of the operator's first input that is no constant."""
        for index, given in enumerate(self.operator.inputs):
            if given in self.tensors:
                return index
        raise self.refuse("no input of it is computed while running")

    def real(self, index: int) -> NDArray[np.float32]:
        """Return a constant input as real numbers, dequantized where it is stored in integers."""
        data = self.constant(index)
        if data.dtype.kind == "f":
            return data.astype(np.float32)
        return to_real(data, self.weight_quant(index, None))

    def weight_quant(self, index: int, axis: int | None) -> Quantization:
        """Return the symmetric scales of a constant: one in all, or one an entry of the file's ``axis``.

        Raises:
            UnsupportedOpError: zero points are not 0, or the scales do not fit the axis.
        """
        tensor = self.file_tensor(index)
        if tensor.zero_points.size and tensor.zero_points.any():
            raise self.refuse(f"{tensor} has zero points other than 0, expected symmetric weights")
        along = tensor.axis if axis is None else axis
        lengths = [tensor.shape[along]] if 0 <= along < len(tensor.shape) else []
        if tensor.scales.size not in (1, *lengths) or (tensor.scales.size > 1 and tensor.axis != along):
            raise self.refuse(
                f"{tensor} has {tensor.scales.size} scales along axis {tensor.axis}, expected one"
                + (f" or one an entry of axis {axis}" if axis is not None else "")
            )
        try:
            single = tensor.scales.size == 1
            return Quantization(tuple(tensor.scales.tolist()), 0, None if single else along)
        except ValueError as error:
            raise self.refuse(f"{tensor}: {error}") from None

    def bias_quant(self, x: str, weight: Quantization) -> Quantization:
        """Return the scales of a bias: those of the input times those of the weight.

        Raises:
            UnsupportedOpError: a product leaves what float32 holds.
        """
        with np.errstate(over="ignore"):  # infinity is refused below
            products = (self.values[x].quantization.scale * np.asarray(weight.scales)).astype(np.float32)
        scales = tuple(products.tolist())
        try:
            return Quantization(scales, 0, None if weight.axis is None else 0)
        except ValueError as error:
            raise self.refuse(f"scale of input times weight: {error}") from None

    def activation(self, field_: int) -> FusedActivation:
        """Return the clamp that a field of the options asks for."""
        kind = self.operator.number(field_, "b")
        if kind not in ACTIVATIONS:
            raise self.refuse(f"fused activation {kind} is not supported, expected none, RELU or RELU6")
        return ACTIVATIONS[kind]

    # --- what an operator makes

    def name(self, wanted: str) -> str:
        """Return a name near ``wanted`` that no value has."""
        wanted = wanted or "unnamed"
        unique, n = wanted, 2
        while unique in self.values:
            unique, n = f"{wanted}_{n}", n + 1
        return unique

    def add_constant(self, name: str, data: NDArray[Any], quant: Quantization | None = None) -> str:
        """Add a constant, float32 where it has no scale; return its name."""
        array = np.ascontiguousarray(data if quant is not None else data.astype(np.float32))
        dtype: Any = array.dtype.name
        unique = self.name(name)
        self.values[unique] = Value(unique, array.shape, dtype, quant, array)
        return unique

    def add(self, op: str, inputs: Sequence[str], attrs: Attrs, *, name: str, quant: Quantization | None) -> str:
        """Append a node; return the name of its output.

        Raises:
            UnsupportedOpError: the op cannot take these inputs.
        """
        try:
            shape = OPS[op].shape(attrs, [self.values[i].shape for i in inputs])
        except (ExportError, ValueError) as error:
            raise self.refuse(str(error)) from None
        unique = self.name(name)
        dtype = self.values[inputs[0]].dtype
        self.values[unique] = Value(unique, shape, dtype, quant)
        self.nodes.append(Node(op, unique, tuple(inputs), (unique,), attrs))
        return unique

    def emit(self, op: str, inputs: Sequence[str], attrs: Attrs, output: int = 0) -> str:
        """Append the node that computes an output of the file's operator, in that output's scale.

        Raises:
            UnsupportedOpError: the op cannot take these inputs, or its int8 form fixes another scale.
        """
        made = self.output(output)
        return self.add(op, inputs, attrs, name=made.name, quant=self._output_quant(op, inputs, made))

    def _output_quant(self, op: str, inputs: Sequence[str], made: FileTensor) -> Quantization | None:
        source = self.values[inputs[0]]
        if source.dtype != made.dtype:
            raise self.refuse(f"it makes {made.dtype} of {source.dtype}, expected one type for all activations")
        if source.dtype == "float32":
            return None
        quant, rule = made.quant, OPS[op].output_scale
        if isinstance(rule, QuantParams):
            near = abs(quant.scale / rule.scale - 1) < SAME_SCALE and quant.zero_point == rule.zero_point
            if not near:
                raise self.refuse(
                    f"its output has scale {quant.scale:.6g} and zero point {quant.zero_point}, the int8 specification "
                    f"fixes {rule.scale:.6g} and {rule.zero_point}"
                )
            return Quantization((rule.scale,), rule.zero_point)
        if rule is OutputScale.SAME_AS_INPUT and any(self.values[i].quant != quant for i in inputs):
            raise self.refuse("input and output differ in scale or zero point, its int8 form has one for all")
        return quant

    def place(self, value: str, output: int = 0, order: Sequence[int] | None = None) -> None:
        """Let a value be an output of the operator.

        Args:
            value: ours.
            output: which one.
            order: in which our value has the file's axes; as the file has them if not given.

        Raises:
            UnsupportedOpError: the file declares another shape.
        """
        made = self.output(output)
        self.define(made.index, self.laid(value, made.shape, order))

    def laid(self, value: str, shape: Shape, order: Sequence[int] | None = None) -> Tensor:
        """Return a value as a tensor of ``shape`` whose axes it holds in this order.

        Raises:
            UnsupportedOpError: it has other lengths.
        """
        lengths = self.values[value].shape
        ours = [axis for axis, n in enumerate(lengths) if n != 1]
        named = [i for i in (range(len(shape)) if order is None else order) if shape[i] != 1]
        if [lengths[axis] for axis in ours] != [shape[i] for i in named]:
            raise self.refuse(f"it makes {list(lengths)}, the file declares {list(shape)}")
        places = dict(zip(named, ours, strict=True))
        return Tensor(value, shape, tuple(places.get(i) for i in range(len(shape))))

    def reshaped(self, value: str, shape: Shape) -> str:
        """Return a value under another shape of as many numbers."""
        found = self.values[value]
        if found.shape == shape:
            return value
        return self.add("reshape", (value,), Reshape(shape), name=f"{value}/shaped", quant=found.quant)

    def fit(self, value: str, output: int = 0) -> str:
        """Return a value under the shape of an output, if it has as many numbers."""
        wanted, found = canonical(self.output(output).shape), self.values[value].shape
        if canonical(found) == wanted or math.prod(found) != math.prod(wanted):
            return value
        return self.reshaped(value, wanted)

    def define(self, index: int, tensor: Tensor) -> None:
        """Register a tensor of the file.

        Raises:
            UnsupportedOpError: an earlier operator computes it already.
        """
        if index in self.tensors:
            raise self.refuse(f"{self.file.tensors[index]} is computed a second time")
        self.tensors[index] = tensor

    def alias(self, tensor: Tensor, output: int = 0) -> None:
        """Let an output be a tensor under other axes: the same numbers, the same scale.

        Raises:
            UnsupportedOpError: the file declares another shape, type or scale.
        """
        made, source = self.output(output), self.values[tensor.value]
        if tensor.padded_shape != made.shape or math.prod(made.shape) > MOST_NUMBERS:
            raise self.refuse(f"it makes {list(tensor.padded_shape)}, the file declares {list(made.shape)}")
        if made.dtype != source.dtype or (source.quant is not None and made.quant != source.quant):
            raise self.refuse("input and output differ in type or scale, it only moves numbers")
        self.define(made.index, tensor)

    # --- layouts

    def shaped(self, tensor: Tensor, shape: Shape) -> str:
        """Return a value with the tensor's numbers in the file's order under ``shape``, appending what it takes."""
        return self.arranged(tensor, tuple(range(len(tensor.shape))), shape)

    def arranged(self, tensor: Tensor, order: Sequence[int], shape: Shape) -> str:
        """Return a value with the file's axes in another order, under ``shape``.

        Args:
            tensor: without padding.
            order: for each axis of the result, the file's; axes of length 1 may be left out.
            shape: of our value, N = 1 first, as many numbers as the tensor.

        Raises:
            UnsupportedOpError: the numbers do not fit.
        """
        if math.prod(shape) != math.prod(tensor.shape):
            raise self.refuse(f"{list(tensor.shape)} does not fit into {list(shape)}")
        source = self.values[tensor.value]
        longer = tuple(axis for i in order if (axis := tensor.axes[i]) is not None)
        ones = [axis for axis in range(len(source.shape)) if axis not in longer]
        key = (tensor.value, longer, shape)
        if key not in self._arranged:
            value = tensor.value
            if list(longer) != sorted(longer):
                if not ones or ones[0] != 0:
                    raise self.refuse(f"{list(source.shape)} has no batch axis of 1")
                turned = Transpose((*ones, *longer))
                value = self.add("transpose", (value,), turned, name=f"{value}/turned", quant=source.quant)
            self._arranged[key] = self.reshaped(value, shape)
        return self._arranged[key]

    def clamped(self, value: str, activation: FusedActivation) -> str:
        """Return a value behind the clamp that an operator of ours has no setting for."""
        if activation is FusedActivation.NONE:
            return value
        return self.add("relu", (value,), Relu(activation), name=f"{value}/clamped", quant=self.values[value].quant)


def canonical(shape: Shape) -> Shape:
    """Return ``[1, ...]`` with the axes longer than 1: how a tensor lies in our graph if nobody asks for more."""
    longer = tuple(n for n in shape if n != 1)
    return (1, *longer) if longer else (1, 1)
