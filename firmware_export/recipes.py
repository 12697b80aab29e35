"""Which numbers are stored in which precision. Names follow ``static_wi8_ai8``: weights int8, activations int8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgehar.errors import UsageError
from firmware_export.calibration import RangeRule


@dataclass(frozen=True)
class Recipe:
    """One precision of a whole network."""

    name: str  # as the user writes it
    integers: bool  # weights and activations int8, biases and sums int32; else float32 throughout
    ranges: RangeRule = RangeRule.MIN_MAX  # of activations; without integers there are none


_ALL = (
    Recipe("static_wi8_ai8", integers=True),
    Recipe("static_wi8_ai8_percentile", integers=True, ranges=RangeRule.PERCENTILE),
    Recipe("static_wi8_ai8_mse", integers=True, ranges=RangeRule.MSE),
    Recipe("float32", integers=False),
)
RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _ALL}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of this name.

    Raises:
        UsageError: there is none; lists them.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
