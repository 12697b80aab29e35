"""Early fusion: what the sensors give is put side by side, and one network sees it as if it came from one sensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgehar.models.entry import Shape
from edgehar.models.heads import take_head
from edgehar.models.parts import SENSORS, Part, build_part

SOURCE = "Snoek et al., Early versus Late Fusion in Semantic Video Analysis, 2005: features joined before learning"
INPUTS = SENSORS


@dataclass(frozen=True)
class Config:
    """The network behind the joint."""

    trunk: Part = Part()  # noqa: RUF009 (it is frozen)


TINY = Config(Part("ds_cnn", {"stem_channels": 8, "stem_kernel": 5, "stem_stride": 4, "blocks": ((12, 3, 1),)}))


class Early(nn.Module):
    """Windows ``[N, T, C_i]`` → ``[N, T, sum of C_i]``, or features ``[N, F_i]`` → ``[N, sum of F_i]`` → trunk."""

    def __init__(self, config: Config, shapes: Sequence[Shape], classes: int) -> None:
        """Build for inputs of these shapes.

        Raises:
            ValueError: fewer than two inputs, windows beside features, or a trunk that cannot take them together.
        """
        super().__init__()
        if len(shapes) < 2 or len({shape[:-1] for shape in shapes}) != 1:
            raise ValueError(
                f"early: inputs are {', '.join(str(list(s)) for s in shapes)}, expected at least two, all windows or "
                "all features; late and hybrid fuse windows with features"
            )
        trunk = build_part(config.trunk, (*shapes[0][:-1], sum(shape[-1] for shape in shapes)), classes)
        self.total_stride = trunk.total_stride
        self.head = take_head(trunk)
        self.trunk = trunk

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits ``[N, K]``."""
        return self.head(self.trunk(torch.cat(inputs, dim=-1)))  # type: ignore[no-any-return]
