"""The architectures, one a file, behind one table.

Every network takes features ``[N, T, F]`` float32 (channels last; only its first line transposes) and returns
logits ``[N, K]``. Adding one: a file with a frozen ``Config`` and a module, one line in ``MODELS``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from edgehar.errors import ConfigError
from edgehar.models import bilstm, cnn1d, deepconvlstm, ds_cnn, joint, lstm, tcn, transformer


@dataclass(frozen=True)
class ModelEntry:
    """One architecture.

    Attributes:
        config: its frozen Config dataclass, defaults as published.
        build: ``(config, window, features, classes) -> module``.
        tiny: a variant small enough for a test of every step.
        source: where the architecture comes from.
    """

    config: type
    build: Callable[[Any, int, int, int], nn.Module]
    tiny: Any
    source: str


MODELS: dict[str, ModelEntry] = {
    "ds_cnn": ModelEntry(ds_cnn.Config, ds_cnn.DsCnn, ds_cnn.TINY, ds_cnn.SOURCE),
    "cnn1d": ModelEntry(cnn1d.Config, cnn1d.Cnn1d, cnn1d.TINY, cnn1d.SOURCE),
    "tcn": ModelEntry(tcn.Config, tcn.Tcn, tcn.TINY, tcn.SOURCE),
    "transformer": ModelEntry(transformer.Config, transformer.Transformer, transformer.TINY, transformer.SOURCE),
    "lstm": ModelEntry(lstm.Config, lstm.Lstm, lstm.TINY, lstm.SOURCE),
    "bilstm": ModelEntry(bilstm.Config, bilstm.BiLstm, bilstm.TINY, bilstm.SOURCE),
    "deepconvlstm": ModelEntry(deepconvlstm.Config, deepconvlstm.DeepConvLstm, deepconvlstm.TINY, deepconvlstm.SOURCE),
    "joint": ModelEntry(joint.Config, joint.Joint, joint.TINY, joint.SOURCE),
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
    """Return the number of trained values; batch norm's running statistics are not counted."""
    return sum(p.numel() for p in module.parameters())
