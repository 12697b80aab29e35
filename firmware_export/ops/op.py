"""What the rest of the package asks of an op: its record, and the roles of its operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.signal import QuantParams
from firmware_export.affine import INT8_MAX, INT8_MIN
from firmware_export.graph import Attrs, Quantization, Shape

Array = NDArray[Any]
Outputs = Array | tuple[Array, ...]


@dataclass(frozen=True)
class Activation:
    """Operand that is computed while the network runs."""


@dataclass(frozen=True)
class Weight:
    """Constant operand, symmetric int8: one scale an entry of ``axis``, or one in all (None)."""

    axis: int | None


@dataclass(frozen=True)
class Bias:
    """Constant operand, int32, in the scale of operand 0 times that of the weight at index ``of``."""

    of: int


@dataclass(frozen=True)
class Constant:
    """Constant operand that is treated as an activation: asymmetric int8 in the scale of its own range."""


@dataclass(frozen=True)
class Index:
    """Constant operand of whole numbers that choose, int32 in float and quantized graphs alike."""


@dataclass(frozen=True)
class Threshold:
    """Constant operand that operand ``of`` is compared with by ``>``: int8 in its scale, rounded down."""

    of: int


Role = Activation | Weight | Bias | Constant | Index | Threshold


class OutputScale(StrEnum):
    """Where the output's scale and zero point come from, unless they are fixed numbers."""

    CALIBRATED = "calibrated"
    SAME_AS_INPUT = "same_as_input"
    SAME_AS_TABLE = "same_as_table"  # numbers of the op's ``Constant``, as they are


@dataclass(frozen=True)
class Op:
    """One operator.

    Attributes:
        operands: role of each input, in order.
        output_scale: rule for the output, or the numbers that the int8 specification fixes.
        shape: from the attributes and input shapes to the output shape.
        macs: multiply-accumulates of one window, from the attributes, input shapes and output shape.
        float32: reference, batched: activations are ``[N, ...]`` float32. A tuple of outputs where there are several.
        int8: reference, batched, from the attributes, inputs, their quantizations (then those of the outputs after
            the first) and that of the output; equals TFLite's reference kernel bit for bit. None for an op that a
            pass removes before quantization.
        stateful: the interpreter's kernel keeps state between windows, which must be reset before each.
    """

    operands: tuple[Role, ...]
    output_scale: OutputScale | QuantParams
    shape: Callable[[Any, Sequence[Shape]], Shape]
    macs: Callable[[Any, Sequence[Shape], Shape], int]
    float32: Callable[[Any, Sequence[Array]], Outputs]
    int8: Callable[[Any, Sequence[Array], Sequence[Quantization], Quantization], Outputs] | None
    stateful: bool = False


class FusedActivation(StrEnum):
    """Clamp at the end of an op, at no cost."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"


_REAL_LIMITS = {
    FusedActivation.NONE: (-np.inf, np.inf),
    FusedActivation.RELU: (0.0, np.inf),
    FusedActivation.RELU6: (0.0, 6.0),
}


@dataclass(frozen=True)
class ActivatedAttrs(Attrs):
    """Base of the settings of an op that can end in a clamp."""

    activation: FusedActivation = FusedActivation.NONE


def no_macs(_attrs: Attrs, _inputs: Sequence[Shape], _output: Shape) -> int:
    """Return 0: the op multiplies nothing."""
    return 0


def same_shape(_attrs: Attrs, inputs: Sequence[Shape]) -> Shape:
    """Return the first input's shape: the op works on each number."""
    return inputs[0]


def clamp(x: Array, activation: FusedActivation) -> Array:
    """Clamp real numbers in place."""
    if activation is not FusedActivation.NONE:
        np.clip(x, *_REAL_LIMITS[activation], out=x)
    return x


def int8_limits(activation: FusedActivation, output: Quantization) -> tuple[int, int]:
    """Return the smallest and largest int8 that the clamp lets through. Source: TFLite ``CalculateActivationRange``."""
    low, high = _REAL_LIMITS[activation]
    # TFLite divides in float32 and rounds halves away from zero
    ends = [np.float32(end) / np.float32(output.scale) for end in (low, high)]
    q = [end if np.isinf(end) else np.copysign(np.floor(np.abs(end) + 0.5), end) + output.zero_point for end in ends]
    return int(max(q[0], INT8_MIN)), int(min(q[1], INT8_MAX))
