"""Random forest on window features: grown by scikit-learn, held as tables of perfect binary trees."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgehar.signal.features.window_features import LARGEST

SOURCE = "Breiman, Random Forests, 2001; as tensors: Nakandala et al., OSDI 2020, section 4.1 (perfect tree traversal)"
INT8_STEP = 2 * LARGEST / 255  # between two values of a standardized feature on the device
GAINS = np.geomspace(1, 100, 200)

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Config:
    """How many trees, and how deep: each holds 2^depth leaves, whether it needs them or not."""

    trees: int = 24
    depth: int = 5  # comparisons from root to leaf
    min_leaf: int = 3  # training windows in a leaf


TINY = Config(trees=6, depth=3, min_leaf=1)


class Forest(nn.Module):
    """``[N, F]`` → a leaf of each tree ``[N, trees, K]`` → their mean ``[N, K]``.

    Nodes count from 1 as in a heap: tree t has its root at T + t, the children of node p are 2 p (x <= threshold) and
    2 p + 1, after ``depth`` steps leaf l is at 2^depth T + l. The first T entries of ``columns`` and ``thresholds``
    belong to no node.
    """

    columns: Tensor  # int64 [2^depth T], of the features
    thresholds: Tensor  # float32 [2^depth T]
    leaves: Tensor  # float32 [2^depth T, K]

    def __init__(self, config: Config, features: int, classes: int) -> None:
        """Build without knowledge: every leaf is 0.

        Raises:
            ValueError: there is no tree, no comparison, or a table that no device holds.
        """
        super().__init__()
        if config.trees < 1 or not 1 <= config.depth <= 12 or config.min_leaf < 1:
            raise ValueError(f"forest: {config}, expected at least one tree, depth 1 to 12, min_leaf at least 1")
        self.config, self.features, self.classes = config, features, classes
        self.total_stride = 1  # it sees whole windows only
        size = config.trees << config.depth
        self.register_buffer("columns", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("thresholds", torch.zeros(size))
        self.register_buffer("leaves", torch.zeros(size, classes))
        self.register_load_state_dict_post_hook(lambda module, _: module.describe())
        self.describe()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, K]`` of features ``[N, F]``."""
        if torch.onnx.is_in_onnx_export():
            operator = "ai.onnx.ml::TreeEnsembleRegressor"
            shape = (x.shape[0], self.classes)
            return torch.onnx.ops.symbolic(
                operator, (x,), attrs=self._description, dtype=x.dtype, shape=shape, version=3
            )
        count = self.config.trees
        place = torch.arange(count, 2 * count, device=x.device).expand(len(x), count)
        for _ in range(self.config.depth):
            greater = x.gather(1, self.columns[place]) > self.thresholds[place]
            place = 2 * place + greater
        return self.leaves[place - len(self.leaves)].mean(dim=1)

    def set_tables(self, columns: NDArray[np.int64], thresholds: F32, leaves: F32) -> None:
        """Take over grown trees."""
        for table, data in ((self.columns, columns), (self.thresholds, thresholds), (self.leaves, leaves)):
            table.copy_(torch.from_numpy(data))
        self.describe()

    def describe(self) -> None:
        """Write the tables down as ONNX wants them: it takes numbers, which a traced tensor does not show."""
        count, size = self.config.trees, len(self.leaves)
        heap = np.arange(1, 2 << self.config.depth)  # of one tree: its root is 1, its leaves come last
        owner, local = np.repeat(np.arange(count), len(heap)), np.tile(heap, count)
        place = local + (count - 1 + owner) * np.tile(1 << np.log2(heap).astype(int), count)
        inner = place < size
        at = np.where(inner, place, 0)
        leaves = self.leaves.numpy()[place[~inner] - size]
        self._description: dict[str, Any] = {
            "n_targets": self.classes,
            "aggregate_function": "AVERAGE",
            "nodes_treeids": owner.tolist(),
            "nodes_nodeids": (local - 1).tolist(),
            "nodes_featureids": np.where(inner, self.columns.numpy()[at], 0).tolist(),
            "nodes_values": np.where(inner, self.thresholds.numpy()[at], 0).tolist(),
            "nodes_modes": ["BRANCH_LEQ" if goes_on else "LEAF" for goes_on in inner],
            "nodes_truenodeids": np.where(inner, 2 * local - 1, 0).tolist(),
            "nodes_falsenodeids": np.where(inner, 2 * local, 0).tolist(),
            "target_treeids": np.repeat(owner[~inner], self.classes).tolist(),
            "target_nodeids": np.repeat(local[~inner] - 1, self.classes).tolist(),
            "target_ids": np.tile(np.arange(self.classes), len(leaves)).tolist(),
            "target_weights": leaves.ravel().tolist(),
        }


def grow(network: Forest, inputs: Sequence[F32], truth: NDArray[np.int64], seed: int) -> None:
    """Grow the trees on standardized features, and scale their votes to logits.

    Features are rounded to the steps in which the device holds them, and thresholds lie half a step between, so that
    int8 decides as float32 does. A leaf holds the share of each class among its training windows times one gain for
    all, chosen so that softmax of the mean gives the out-of-bag windows their likeliest truth.

    Args:
        network: takes the trees.
        inputs: the one input, ``[N, F]``.
        truth: class of each window ``[N]``.
        seed: of bootstrap and choice of features.
    """
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 (of the train extra)

    config = network.config
    steps = np.rint(inputs[0] / INT8_STEP)
    grown = RandomForestClassifier(
        config.trees, max_depth=config.depth, min_samples_leaf=config.min_leaf, random_state=seed, oob_score=True
    )
    with warnings.catch_warnings():  # with few trees some windows are in every bag, and left out of the gain
        warnings.filterwarnings("ignore", "Some inputs do not have OOB scores")
        grown.fit(steps, truth)
    size = config.trees << config.depth
    columns, thresholds = np.zeros(size, np.int64), np.zeros(size, np.float32)
    leaves = np.zeros((size, network.classes), np.float32)
    for root, tree in enumerate((each.tree_ for each in grown.estimators_), start=config.trees):
        pending = [(root, 0)]
        while pending:
            place, node = pending.pop()
            ends = tree.children_left[node] < 0
            if place >= size:
                leaves[place - size, grown.classes_] = tree.value[node, 0]
            elif ends:  # it ends early: both sides of any comparison are this leaf
                pending += [(2 * place, node), (2 * place + 1, node)]
            else:
                columns[place] = tree.feature[node]
                thresholds[place] = (np.floor(tree.threshold[node]) + 0.5) * INT8_STEP
                pending += [(2 * place, tree.children_left[node]), (2 * place + 1, tree.children_right[node])]
    network.set_tables(columns, thresholds, leaves * np.float32(_gain(grown, truth)))


def _gain(grown: Any, truth: NDArray[np.int64]) -> float:
    """Return the factor on mean shares ``[N, K]`` whose softmax has the smallest loss on windows out of the bag.

    Only a third of the trees have not seen such a window, so where trees are few the factor is on the small side.
    """
    shares = grown.oob_decision_function_
    seen = shares.sum(axis=1) > 0
    shares, places = shares[seen], np.searchsorted(grown.classes_, truth[seen])
    logits = GAINS[:, None, None] * shares
    losses = np.log(np.exp(logits - logits.max(axis=2, keepdims=True)).sum(axis=2)) + logits.max(axis=2)
    losses -= logits[:, np.arange(len(places)), places]
    return float(GAINS[losses.mean(axis=1).argmin()])
