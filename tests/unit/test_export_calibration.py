"""Ranges of activations: all that was seen, without the tails, or with the smallest error."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_export.affine import activation_quantization, to_integers, to_real
from firmware_export.calibration import CHOICES, TAIL, RangeRule, calibrate
from firmware_export.graph import Graph, Node, Range, Value, assemble
from firmware_export.ops.op import FusedActivation
from firmware_export.ops.relu import Relu
from firmware_export.recipes import RECIPES

T, C = 50, 4


def graph() -> Graph:
    values = [Value("x", (1, T, C)), Value("y", (1, T, C))]
    return assemble(["x"], ["y"], [Node("relu", "relu", ("x",), ("y",), Relu(FusedActivation.RELU))], values)


def seen(rule: RangeRule, windows: NDArray[np.float32]) -> Range:
    found = calibrate(graph(), windows, rule).values["x"].range
    assert found is not None
    return found


def error(x: NDArray[np.float32], limits: Range) -> float:
    quant = activation_quantization(limits)
    return float(np.mean(np.square(to_real(to_integers(x, quant), quant) - x, dtype=np.float64)))


def heavy_tailed(seed: int) -> NDArray[np.float32]:
    """Normal noise with two bursts at twice its largest value: too few to be worth half of the integers."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1000, T, C))
    x.ravel()[rng.choice(x.size, 2, replace=False)] = -9, 9
    return x.astype(np.float32)


def test_percentile_cuts_its_share_at_each_end() -> None:
    x = heavy_tailed(0)
    found = seen(RangeRule.PERCENTILE, x)
    everything = seen(RangeRule.MIN_MAX, x)
    bin_width = (everything.high - everything.low) / 2048
    assert found.low == pytest.approx(np.quantile(x, TAIL), abs=1.01 * bin_width)
    assert found.high == pytest.approx(np.quantile(x, 1 - TAIL), abs=1.01 * bin_width)
    assert (x < found.low).mean() <= TAIL and (x > found.high).mean() <= TAIL


@pytest.mark.parametrize("seed", range(4))
def test_mse_has_the_smallest_error(seed: int) -> None:
    x = heavy_tailed(seed)
    ranges = {rule: seen(rule, x) for rule in RangeRule}
    errors = {rule: error(x, ranges[rule]) for rule in RangeRule}
    assert errors[RangeRule.MSE] < 0.8 * errors[RangeRule.MIN_MAX]
    assert errors[RangeRule.MSE] < 1.02 * errors[RangeRule.PERCENTILE]


def test_values_without_tails_keep_their_range() -> None:
    x = np.random.default_rng(0).uniform(-1, 3, (100, T, C)).astype(np.float32)
    everything = seen(RangeRule.MIN_MAX, x)
    for rule in CHOICES:
        found = seen(rule, x)
        assert found.low == pytest.approx(everything.low, abs=0.02)
        assert found.high == pytest.approx(everything.high, abs=0.02)


@pytest.mark.parametrize("rule", RangeRule)
def test_dead_and_one_sided_activations(rule: RangeRule) -> None:
    zeros = np.zeros((3, T, C), np.float32)
    assert seen(rule, zeros) == Range(0.0, 0.0)
    positive = calibrate(graph(), heavy_tailed(1), rule).values["y"].range
    assert positive is not None and positive.low == 0 < positive.high
    above = seen(rule, zeros + np.float32(5))  # far from 0, which must stay inside
    assert (above.low, above.high) == (0.0, 5.0)


def test_every_rule_has_a_recipe() -> None:
    assert {recipe.ranges for recipe in RECIPES.values()} == set(RangeRule)
    assert all(name == recipe.name for name, recipe in RECIPES.items())
