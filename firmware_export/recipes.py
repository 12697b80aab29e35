"""Which numbers are stored in which precision. Names follow ``static_wi8_ai8``: weights int8, activations int8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgehar.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """One precision of a whole network."""

    name: str  # as the user writes it
    integers: bool  # weights and activations int8, biases and sums int32; else float32 throughout


RECIPES: Mapping[str, Recipe] = {
    "static_wi8_ai8": Recipe("static_wi8_ai8", integers=True),
    "float32": Recipe("float32", integers=False),
}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of this name.

    Raises:
        UsageError: there is none; lists them.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
