"""``dense`` with MVE: four outputs at a time, 16 products a step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_export.ops.dense import Dense
from firmware_export.ops.op import int8_limits
from firmware_export.targets.c.layer import Kernel, Layer
from firmware_export.targets.c.mve.rows import HEADERS, Rows, rows_of, steps_of

TOGETHER = 4  # outputs


def mve_dense(layer: Layer) -> Kernel | None:
    """Always, but for factors of 1/2 and more."""
    rows = rows_of(layer, layer.constant(1))
    if rows is None:
        return None
    output = layer.outputs[0].quantization
    limits = (output.zero_point, *int8_limits(layer.attrs(Dense).activation, output))
    body = row_call(layer.prefix, "x", "y", rows, limits)
    return Kernel(body, constants=row_constants(rows), headers=HEADERS)


def row_call(prefix: str, x: str, y: str, rows: Rows, limits: tuple[int, int, int]) -> str:
    """Return the call that makes all outputs of the products at ``x``; limits: zero point, lowest, highest output."""
    outputs, products = rows.weight.shape
    zero, low, high = limits
    return f"har_mve_rows({x}, {prefix}_weight, {prefix}_last, {y}, {products}, {outputs}, {zero}, {low}, {high});"


def row_constants(rows: Rows) -> dict[str, NDArray[np.integer]]:
    """Return ``weight`` and ``last`` of ``har_mve_rows``."""
    filled = rows.filled_up(TOGETHER)
    return {
        "weight": steps_of(filled.weight, TOGETHER),
        "last": filled.last.reshape(-1, TOGETHER, 3).swapaxes(1, 2),
    }
