"""ONNX ``TreeEnsembleRegressor``, ours or a converter's (skl2onnx), to ``forest`` and ``mean``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from firmware_export.onnx_reader.reading import ROWS, SERIES, Reading, attribute
from firmware_export.ops.forest import Forest
from firmware_export.ops.mean import Mean
from firmware_export.ops.reshape import Reshape

DEEPEST = 12  # a table of perfect trees doubles with each level
LEAF, BRANCH = "LEAF", "BRANCH_LEQ"

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class _Branch:
    """An inner node: ``column <= threshold`` goes on at node ``below``, else at ``above``."""

    column: int
    threshold: float
    below: int
    above: int


@dataclass(frozen=True)
class _Tree:
    """One tree by the file's node numbers; its root is the first node that the file has of it."""

    root: int
    branches: Mapping[int, _Branch]
    leaves: Mapping[int, F32]

    def depth(self, node: int, limit: int) -> int:
        """Return how many comparisons lie below a node, at most ``limit``."""
        if node in self.leaves or limit == 0:
            return 0
        branch = self.branches[node]
        return 1 + max(self.depth(branch.below, limit - 1), self.depth(branch.above, limit - 1))


def read_tree_ensemble(reading: Reading, node: ir.Node) -> None:
    """Sum or average over trees; a tree that ends early is filled up with comparisons whose sides are alike."""
    x = reading.tensor(node, 0)
    if len(x.shape) != 2 or not x.in_our_order:
        raise reading.refuse(node, f"trees on {list(x.onnx_shape)}, expected a row [N, F]")
    trees = _trees(reading, node)
    depth = max(1, *(tree.depth(tree.root, DEEPEST + 1) for tree in trees))
    if depth > DEEPEST:
        raise reading.refuse(node, f"a tree is deeper than {DEEPEST} comparisons; train with max_depth={DEEPEST}")
    columns, thresholds, leaves = _perfect(trees, depth)
    if columns.max() >= x.shape[1]:
        raise reading.refuse(node, f"a node compares column {columns.max()} of {x.shape[1]}")
    how = _text(attribute(node, "aggregate_function", "SUM"))
    if how not in ("SUM", "AVERAGE"):
        raise reading.refuse(node, f"aggregate_function {how}, expected SUM or AVERAGE")
    base = np.asarray(attribute(node, "base_values", 0.0))
    apart = _apart(leaves, len(trees), depth) if how == "SUM" and not base.any() else None
    if apart is None:
        leaves = leaves * (len(trees) if how == "SUM" else 1) + base
    name = node.outputs[0].name
    tables = (
        reading.add_index(f"{name}/columns", columns),
        reading.add_constant(f"{name}/thresholds", thresholds),
        reading.add_constant(f"{name}/leaves", leaves if apart is None else apart),
    )
    found = reading.add(node, "forest", (x.name, *tables), Forest(depth), SERIES, output=f"{name}/trees")
    if apart is None:
        reading.add(node, "mean", (found.name,), Mean(), ROWS)
    else:
        reading.add(node, "reshape", (found.name,), Reshape((1, leaves.shape[1])), ROWS)


def _trees(reading: Reading, node: ir.Node) -> list[_Tree]:
    """Return the trees in the order of the file.

    Raises:
        UnsupportedOpError: a comparison other than <=, a transformed output, or nodes that do not hang together.
    """
    listed = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    columns = [attribute(node, f"nodes_{what}", ()) for what in listed]
    modes = {_text(mode) for mode in columns[4]}
    if modes - {LEAF, BRANCH}:
        raise reading.refuse(node, f"modes {', '.join(sorted(modes))}, expected {BRANCH} and {LEAF}")
    if (after := _text(attribute(node, "post_transform", "NONE"))) != "NONE":
        raise reading.refuse(node, f"post_transform {after}, expected NONE")
    roots: dict[int, int] = {}
    branches: dict[int, dict[int, _Branch]] = {}
    leaves: dict[int, dict[int, F32]] = {}
    for tree, number, column, value, mode, below, above in zip(*columns, strict=True):
        roots.setdefault(tree, number)
        if _text(mode) == LEAF:
            leaves.setdefault(tree, {})[number] = np.zeros(attribute(node, "n_targets", 1), np.float32)
        else:
            branches.setdefault(tree, {})[number] = _Branch(column, value, below, above)
    targets = ("treeids", "nodeids", "ids", "weights")
    for tree, number, target, weight in zip(*(attribute(node, f"target_{w}", ()) for w in targets), strict=True):
        leaves[tree][number][target] += weight
    trees = [_Tree(root, branches.get(tree, {}), leaves.get(tree, {})) for tree, root in roots.items()]
    known = [{*tree.branches, *tree.leaves} for tree in trees]
    if not trees or any(
        not {branch.below, branch.above} <= numbers
        for tree, numbers in zip(trees, known, strict=True)
        for branch in tree.branches.values()
    ):
        raise reading.refuse(node, "there are no trees, or a branch goes on at a node that is not there")
    return trees


def _perfect(trees: list[_Tree], depth: int) -> tuple[NDArray[np.int32], F32, F32]:
    """Return the tables of ``forest``: columns, thresholds and leaves of perfect trees."""
    count = len(trees)
    size = count << depth
    columns, thresholds = np.zeros(size, np.int32), np.zeros(size, np.float32)
    width = len(next(iter(trees[0].leaves.values())))
    leaves = np.zeros((size, width), np.float32)
    for root, tree in enumerate(trees, start=count):
        pending = [(root, tree.root)]
        while pending:
            place, number = pending.pop()
            branch = tree.branches.get(number)
            if place >= size:
                leaves[place - size] = tree.leaves[number]
            elif branch is None:
                pending += [(2 * place, number), (2 * place + 1, number)]
            else:
                columns[place], thresholds[place] = branch.column, branch.threshold
                pending += [(2 * place, branch.below), (2 * place + 1, branch.above)]
    return columns, thresholds, leaves


def _apart(leaves: F32, count: int, depth: int) -> F32 | None:
    """Return leaves ``[2^depth T, K / T]`` where tree t has the t-th of T equal shares of the K targets to itself.

    That is how our own int8 files are: the sum over trees comes after their leaves are rounded.
    """
    if count == 1 or leaves.shape[1] % count:
        return None
    of_tree = leaves.reshape(count, 1 << depth, count, -1)
    own = np.arange(count)
    others = of_tree.copy()
    others[own, :, own] = 0
    return None if others.any() else of_tree[own, :, own].reshape(len(leaves), -1)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
