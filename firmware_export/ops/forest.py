"""``forest``: the leaf that each of some perfect binary trees of one depth leads a row to; ``mean`` or a sum follows.

Operands: x ``[N, F]``, then three tables over the nodes of all T trees of depth D: which column of x a node compares,
with which threshold, and the numbers of each leaf. Node numbers count from 1 as in a heap: tree t has its root at
T + t, the children of node p are 2 p (x <= threshold) and 2 p + 1 (x > threshold), and after D steps leaf l is at
2^D T + l. So the first two tables have 2^D T entries, of which the first T belong to no node, and ``leaves`` is
``[2^D T, K]``. Output ``[N, T, K]``.

In int8 a threshold is an integer of x's scale, rounded down, so that ``q > threshold`` is exact; leaves move as they
are, in the scale of their table.

Source: Nakandala et al., A Tensor Compiler for Unified Machine Learning Prediction Serving, OSDI 2020, section 4.1
(perfect tree traversal).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.graph import Attrs, Quantization, Shape
from firmware_export.ops.op import Activation, Array, Constant, Index, Op, OutputScale, Threshold, no_macs


@dataclass(frozen=True)
class Forest(Attrs):
    """How many comparisons lead to a leaf."""

    depth: int


def trees(attrs: Forest, leaves: Shape) -> int:
    """Return how many trees have leaves ``[2^depth T, K]``."""
    return leaves[0] >> attrs.depth


def shape(attrs: Forest, inputs: Sequence[Shape]) -> Shape:
    """Return ``(1, T, K)``.

    Raises:
        ValueError: the tables do not fit the depth, or the input is no row.
    """
    x, features, thresholds, leaves = inputs
    count = trees(attrs, leaves)
    size = count << attrs.depth
    if len(x) != 2 or attrs.depth < 1 or count < 1 or not (features == thresholds == (size,) == leaves[:1]):
        raise ValueError(
            f"forest of depth {attrs.depth} on {list(x)} with tables {list(features)}, {list(thresholds)}, "
            f"{list(leaves)}; expected a row [1, F], two tables of 2^depth T numbers and as many leaves [.., K]"
        )
    return 1, count, leaves[1]


def float32(attrs: Forest, inputs: Sequence[Array]) -> Array:
    """Return the leaves in float32."""
    x, features, thresholds, leaves = inputs
    count = trees(attrs, leaves.shape)
    node = np.broadcast_to(np.arange(count, 2 * count), (len(x), count))
    for _ in range(attrs.depth):
        values = np.take_along_axis(x, features[node], axis=1)
        node = 2 * node + (values > thresholds[node])
    found: Array = leaves[node - len(leaves)]
    return found


def int8(attrs: Forest, inputs: Sequence[Array], _quants: Sequence[Quantization], _output: Quantization) -> Array:
    """Return the leaves in int8."""
    return float32(attrs, inputs)


FOREST = Op(
    operands=(Activation(), Index(), Threshold(of=0), Constant()),
    output_scale=OutputScale.SAME_AS_TABLE,
    shape=shape,
    macs=no_macs,
    float32=float32,
    int8=int8,
)
