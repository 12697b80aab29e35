"""Which numbers are stored in which precision. Names follow ``static_wi8_ai8``: weights int8, activations int8."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgehar.errors import UsageError
from edgehar.precision import Precision
from firmware_export.calibration import RangeRule


@dataclass(frozen=True)
class Recipe:
    """One precision of a whole network."""

    name: str  # as the user writes it
    precision: Precision
    ranges: RangeRule = RangeRule.MIN_MAX  # of integer activations
    least_db: float | None = None  # mixed: SQNR of the logits to reach; None: within MARGIN_DB of int16 throughout


_ALL = (
    Recipe("static_wi8_ai8", Precision.STATIC_WI8_AI8),
    Recipe("static_wi8_ai8_percentile", Precision.STATIC_WI8_AI8, RangeRule.PERCENTILE),
    Recipe("static_wi8_ai8_mse", Precision.STATIC_WI8_AI8, RangeRule.MSE),
    Recipe("static_wi8_ai16", Precision.STATIC_WI8_AI16),
    Recipe("mixed_wi8", Precision.MIXED_WI8),
    Recipe("dynamic_wi8", Precision.DYNAMIC_WI8),
    Recipe("float32", Precision.FLOAT32),
)
RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _ALL}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of this name; ``mixed_wi8_36db`` is ``mixed_wi8`` that is to reach 36 dB.

    Raises:
        UsageError: there is none; lists them.
    """
    if target := re.fullmatch(r"mixed_wi8_(\d{1,2})db", name):
        return replace(RECIPES["mixed_wi8"], name=name, least_db=float(target[1]))
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are {', '.join(RECIPES)}, and mixed_wi8_36db for 36 dB")
    return RECIPES[name]
