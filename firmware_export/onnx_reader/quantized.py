"""ONNX ``QuantizeLinear`` and ``DequantizeLinear`` around activations: no node, but scale and zero point of a value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from firmware_export.graph import Fixed, Quantization
from firmware_export.onnx_reader.reading import Reading

UNSIGNED_OFFSET = 128  # a uint8 stands for the same number as the int8 this much lower, and so does its zero point


def read_quantize(reading: Reading, node: ir.Node) -> None:
    """To 8 bits: input and output are one value of ours."""
    _fix(reading, node)


def read_dequantize(reading: Reading, node: ir.Node) -> None:
    """From 8 bits. Constants are not read here but folded before (``constants.py``)."""
    _fix(reading, node)


def _fix(reading: Reading, node: ir.Node) -> None:
    x = reading.unmerged(node, 0)
    scale, zero = reading.required(node, 1), reading.constant(node, 2)
    if zero is None:
        zero = np.zeros(1, np.uint8)  # ONNX's default
    if scale.size != 1 or zero.size != 1 or zero.dtype not in (np.int8, np.uint8):
        raise reading.refuse(
            node,
            f"an activation with {scale.size} scales and zero points of type {zero.dtype}, expected one scale and "
            "int8 or uint8; quantize activations per tensor to 8 bits",
        )
    point = int(zero.reshape(())) - (UNSIGNED_OFFSET if zero.dtype == np.uint8 else 0)
    try:
        quant = Quantization((float(np.float32(scale.reshape(()))),), point)
    except ValueError as error:
        raise reading.refuse(node, str(error)) from None
    value = reading.values[x.name]
    if value.fixed is not None and value.fixed.quant != quant:
        old = value.fixed.quant
        raise reading.refuse(
            node,
            f"{value.name!r} has scale {old.scale:.6g} and zero point {old.zero_point} (as int8) already, here "
            f"{quant.scale:.6g} and {quant.zero_point}; quantize each tensor once",
        )
    reading.values[x.name] = replace(value, fixed=Fixed(quant))
    reading.alias(node, x)
