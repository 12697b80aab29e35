"""From what was drawn for a batch to the tensors a network gets: on the host in numpy, on an accelerator in torch.

Both run the same operations in the same order. Outside the rotation, whose sums of three products a matrix library
rounds as it likes (by a few float32 steps), torch gives numpy's bits: eager kernels round every addition,
multiplication and division as IEEE 754 says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgehar.signal import Difference, FrontEnd, NetworkInput, SignedLog, input_tensors
from edgehar.training.augment import Changes

F32 = NDArray[np.float32]

_SQRT_HALF_BITS = 0x3F3504F3  # of edgehar.signal.signed_log
_SIGN_BIT = -(2**31)
_LN2 = float(np.float32(0.6931471805599453))
_C7, _C5, _C3 = (float(np.float32(1 / k)) for k in (7, 5, 3))


@dataclass(frozen=True, eq=False)
class Draw:
    """Where a batch's raw windows are cut, and what is changed in them.

    Attributes:
        index: ``[B, memory + window]`` into the samples.
        weight: ``[B, memory + window, 1]`` share of the sample after each; None where the pace is unchanged.
        changes: rotation, gain, dropout.
    """

    index: NDArray[np.int64]
    weight: F32 | None
    changes: Changes


class BatchMaker(Protocol):
    """Makes the tensor of each input, ``[B, ...]``."""

    def make(self, draw: Draw) -> tuple[Tensor, ...]:
        """Return the tensors of what was drawn."""


def batch_maker(samples: F32, front_end: FrontEnd, inputs: Sequence[NetworkInput], device: torch.device) -> BatchMaker:
    """Return the maker for ``device``: resident on an accelerator where torch has every step, numpy's elsewhere."""
    in_torch = all(isinstance(step, Difference | SignedLog) for step in front_end.steps)
    if device.type == "cpu" or not in_torch or any(each.features is not None for each in inputs):
        return HostBatches(samples, front_end, inputs)
    return ResidentBatches(samples, front_end, inputs, device)


class HostBatches:
    """The raw samples ``[S, C]`` in memory, the front end in numpy."""

    def __init__(self, samples: F32, front_end: FrontEnd, inputs: Sequence[NetworkInput]) -> None:
        self._samples = samples
        self._front_end = front_end
        self._inputs = inputs

    def make(self, draw: Draw) -> tuple[Tensor, ...]:
        """Return the tensors of what was drawn."""
        raw = self._samples[draw.index]
        if draw.weight is not None:
            raw = raw * (1 - draw.weight) + self._samples[draw.index + 1] * draw.weight
        draw.changes.apply(raw)
        windows = self._front_end.run(raw)[:, self._front_end.memory_samples :]
        return tuple(torch.from_numpy(np.ascontiguousarray(x)) for x in input_tensors(self._inputs, windows))


class ResidentBatches:
    """The raw samples on the device once and for all; a batch brings its draws, some hundred kilobytes."""

    def __init__(self, samples: F32, front_end: FrontEnd, inputs: Sequence[NetworkInput], device: torch.device) -> None:
        self._device = device
        self._samples = self._put(samples)
        self._front_end = front_end
        self._inputs = inputs
        self._gain, self._mean, self._inv_std = (
            self._put(np.asarray(values, np.float32)) for values in (front_end.gain, front_end.mean, front_end.inv_std)
        )
        self._inverse_scales = [
            self._put(np.float32(1) / np.asarray(step.scale, np.float32)) if isinstance(step, SignedLog) else None
            for step in front_end.steps
        ]

    def _put(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device, non_blocking=True)

    def make(self, draw: Draw) -> tuple[Tensor, ...]:
        """Return the tensors of what was drawn."""
        index = self._put(draw.index)
        raw = self._samples[index]
        if draw.weight is not None:
            weight = self._put(draw.weight)
            raw = raw * (1 - weight) + self._samples[index + 1] * weight
        draw.changes.convert(self._put).apply(raw)
        windows = self._features(raw)[:, self._front_end.memory_samples :]
        return tuple(windows[..., list(each.columns)] for each in self._inputs)

    def _features(self, raw: Tensor) -> Tensor:
        """:meth:`FrontEnd.run` of ``[B, T, C]``."""
        x = raw[..., list(self._front_end.select)]
        x *= self._gain
        for step, inverse_scale in zip(self._front_end.steps, self._inverse_scales, strict=True):
            columns = list(step.columns)
            y = x[..., columns]
            if inverse_scale is None:
                x[..., columns] = torch.diff(y, dim=1, prepend=y[:, :1])
            else:
                x[..., columns] = signed_log(y, inverse_scale)
        if len(self._mean):
            x -= self._mean
            x *= self._inv_std
        return x


def signed_log(x: Tensor, inverse_scale: Tensor) -> Tensor:
    """Return ``sign(x) * ln(1 + |x| * inverse_scale)`` with the bits of :func:`edgehar.signal.signed_log`."""
    bits = (x.abs() * inverse_scale + 1).view(torch.int32)
    exponent = (bits - _SQRT_HALF_BITS) >> 23
    mantissa = (bits - (exponent << 23)).view(torch.float32)
    z = (mantissa - 1) / (mantissa + 1)
    square = z * z
    series = ((square * _C7 + _C5) * square + _C3) * square + 1
    result = exponent.to(torch.float32) * _LN2 + series * (z * 2)
    return ((x.view(torch.int32) & _SIGN_BIT) | result.view(torch.int32)).view(torch.float32)
