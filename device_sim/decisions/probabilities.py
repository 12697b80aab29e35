"""Logits to probabilities: softmax of a choice at a temperature, or the sigmoid of each logit.

Source of the temperature: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions.numbers import F32, F64, Logits, row_sums
from edgehar.heads import power_table, sigmoid_table
from edgehar.heads.tables import sigmoid
from edgehar.signal.quantization import LARGEST, LIMITS, QuantParams


class Softmax:
    """Probabilities of integer logits, through a table of all differences that two of them can have."""

    def __init__(self, quant: QuantParams, temperature: float = 1.0) -> None:
        self._table = power_table(replace(quant, scale=quant.scale / temperature))

    def __call__(self, outputs: Logits) -> F32:
        """Return probabilities ``[N, K]`` of logits ``[N, K]``; the zero point cancels."""
        wide = outputs.astype(np.intp)
        powers: F32 = self._table[wide.max(axis=1, keepdims=True) - wide]
        return powers / row_sums(powers)


class Sigmoid:
    """Probability of each integer logit by itself, through a table of all of them."""

    def __init__(self, quant: QuantParams) -> None:
        self._table = sigmoid_table(quant)
        self._low = LIMITS[quant.dtype][0]

    def __call__(self, outputs: Logits) -> F32:
        """Return probabilities ``[N, K]`` of logits ``[N, K]``."""
        probabilities: F32 = self._table[outputs.astype(np.intp) - self._low]
        return probabilities


def float_softmax(outputs: Logits, temperature: float = 1.0) -> F32:
    """Return probabilities ``[N, K]`` of float32 logits ``[N, K]``."""
    logits = _numbers(outputs)
    powers = _each(math.exp, (logits - logits.max(axis=1, keepdims=True)) / temperature)
    return (powers / row_sums(powers)).astype(np.float32)


def float_sigmoid(outputs: Logits) -> F32:
    """Return the probability of each float32 logit by itself."""
    return _each(sigmoid, _numbers(outputs)).astype(np.float32)


def probabilities_of(kind: str, quant: QuantParams, temperature: float = 1.0) -> Callable[[Logits], F32]:
    """Return what turns logits ``[N, K]`` of a head into probabilities: softmax of one choice, else sigmoids."""
    if kind == "multiclass":
        if quant.dtype == "float32":
            return lambda outputs: float_softmax(outputs, temperature)
        return Softmax(quant, temperature)
    return float_sigmoid if quant.dtype == "float32" else Sigmoid(quant)


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> F64:
    """Return probabilities ``[N, K]`` of real logits ``[N, K]`` (the full-precision model's)."""
    powers: F64 = np.exp((logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) / temperature)
    return powers / row_sums(powers)


def _numbers(outputs: Logits) -> F64:
    """Return float logits without the NaN that a network makes of finite but absurd samples."""
    return np.nan_to_num(outputs.astype(np.float64), nan=0.0, posinf=LARGEST, neginf=-LARGEST)


def _each(function: Callable[[float], float], x: F64) -> F64:
    """Apply a function one number at a time: what numpy makes of one depends on where in the array it stands."""
    return np.array([function(value) for value in x.ravel().tolist()], np.float64).reshape(x.shape)
