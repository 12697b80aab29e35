"""What the table says of an architecture, and how one that takes a single input joins those that take several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgehar.signal import InputChoice

Shape = tuple[int, ...]  # of one input without the batch: (T, C) of a window, (F,) of features
Build = Callable[[Any, Sequence[Shape], int], nn.Module]
Grow = Callable[[Any, Sequence[NDArray[np.float32]], NDArray[np.int64], int], None]

WINDOW = (InputChoice("window"),)
FEATURES = (InputChoice("features", kind="features"),)


@dataclass(frozen=True)
class ModelEntry:
    """One architecture.

    Attributes:
        config: its frozen Config dataclass, defaults as published.
        build: ``(config, shapes of the inputs, classes) -> module``.
        tiny: a variant small enough for a test of every step.
        source: where the architecture comes from.
        inputs: what it is fed unless a run's config says otherwise.
        grow: ``(network, inputs [N, ...], classes [N], seed)``, of a model that is trained at one go; None where it
            takes gradient steps.
    """

    config: type
    build: Build
    tiny: Any
    source: str
    inputs: tuple[InputChoice, ...] = WINDOW
    grow: Grow | None = None


def of_window(network: Callable[[Any, int, int, int], nn.Module]) -> Build:
    """Return the ``build`` of a network ``(config, window, columns, classes)`` on one window ``[N, T, C]``."""

    def build(config: Any, shapes: Sequence[Shape], classes: int) -> nn.Module:
        if [len(shape) for shape in shapes] != [2]:
            raise _wrong_inputs(network, "one window [T, C]", shapes)
        window, columns = shapes[0]
        return network(config, window, columns, classes)

    return build


def of_features(network: Callable[[Any, int, int], nn.Module]) -> Build:
    """Return the ``build`` of a network ``(config, features, classes)`` on one vector of features ``[N, F]``."""

    def build(config: Any, shapes: Sequence[Shape], classes: int) -> nn.Module:
        if [len(shape) for shape in shapes] != [1]:
            raise _wrong_inputs(network, "one vector of window features [F]", shapes)
        (features,) = shapes[0]
        return network(config, features, classes)

    return build


def _wrong_inputs(network: Callable[..., nn.Module], expected: str, shapes: Sequence[Shape]) -> ValueError:
    return ValueError(
        f"{network.__name__} takes {expected}, its inputs are {', '.join(str(list(s)) for s in shapes) or 'none'}; "
        "early, late and hybrid fuse several"
    )
