"""The architectures, one a file, behind one table.

A network takes a float32 tensor an input, windows ``[N, T, C]`` (channels last; only its first line transposes) or
window features ``[N, F]``, and returns logits ``[N, K]``. Adding one: a file with a frozen ``Config`` and a module, one
line in ``BACKBONES`` if it takes a single input, else in ``MODELS``.
"""

from __future__ import annotations

import difflib

from torch import nn

from edgehar.errors import ConfigError
from edgehar.models import early, forest, hybrid, late
from edgehar.models.backbones import BACKBONES
from edgehar.models.entry import FEATURES, ModelEntry, of_features

MODELS: dict[str, ModelEntry] = {
    **BACKBONES,
    "forest": ModelEntry(
        forest.Config, of_features(forest.Forest), forest.TINY, forest.SOURCE, FEATURES, grow=forest.grow
    ),
    "early": ModelEntry(early.Config, early.Early, early.TINY, early.SOURCE, early.INPUTS),
    "late": ModelEntry(late.Config, late.Late, late.TINY, late.SOURCE, late.INPUTS),
    "hybrid": ModelEntry(hybrid.Config, hybrid.Hybrid, hybrid.TINY, hybrid.SOURCE, hybrid.INPUTS),
}


def model_entry(name: str) -> ModelEntry:
    """Return the table's entry.

    Raises:
        ConfigError: there is no such model; names the nearest.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1, cutoff=0.3)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigError(f"model {name!r} is not known{hint}; there are {', '.join(MODELS)}")
    return MODELS[name]


def count_parameters(module: nn.Module) -> int:
    """Return the number of trained values: not batch norm's running statistics, but all that a forest's tables hold."""
    return sum(value.numel() for value in list(module.parameters()) or module.buffers())
