"""The networks inside a fusion: one a sensor, named in its config and built from the table of backbones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from edgehar.models.backbones import BACKBONES
from edgehar.models.entry import Shape
from edgehar.plain_data import from_mapping
from edgehar.signal import InputChoice

SENSORS = (InputChoice("acc", sensors=("acc",)), InputChoice("gyro", sensors=("gyro",)))
SENSORS_AND_FEATURES = (*SENSORS, InputChoice("features", kind="features"))


@dataclass(frozen=True)
class Part:
    """One network of a fusion."""

    model: str = ""  # an architecture on one input; "" = ds_cnn of a window, mlp of features
    options: Mapping[str, Any] = field(default_factory=dict)  # fields of its Config


def build_part(part: Part, shape: Shape, classes: int) -> nn.Module:
    """Return the network of a part for one input.

    Raises:
        ValueError: there is no such architecture, or it cannot take the input.
        ConfigError: an option is unknown or of the wrong type.
    """
    name = part.model or ("ds_cnn" if len(shape) == 2 else "mlp")
    if name not in BACKBONES:
        raise ValueError(f"a part is of model {name!r}; there are {', '.join(BACKBONES)}")
    entry = BACKBONES[name]
    options = from_mapping(entry.config, part.options, f"options of the part {name}")
    return entry.build(options, [shape], classes)


def build_parts(fusion: str, parts: Sequence[Part], shapes: Sequence[Shape], classes: int) -> nn.ModuleList:
    """Return a network an input.

    Args:
        fusion: its name, for messages.
        parts: one an input; () = the default of each.
        shapes: of the inputs.
        classes: logits of each.

    Raises:
        ValueError: there are fewer than two inputs, or another number of parts; and as :func:`build_part`.
    """
    if len(shapes) < 2:
        raise ValueError(f"{fusion}: {len(shapes)} input, expected at least two to fuse")
    if parts and len(parts) != len(shapes):
        raise ValueError(f"{fusion}: {len(parts)} parts for {len(shapes)} inputs, expected one an input, or none")
    chosen = parts or [Part()] * len(shapes)
    return nn.ModuleList(build_part(part, shape, classes) for part, shape in zip(chosen, shapes, strict=True))


def common_stride(networks: Sequence[nn.Module]) -> int:
    """Return the total stride of networks side by side: a hop that fits it fits each."""
    return math.lcm(*(network.total_stride for network in networks))  # type: ignore[arg-type]
