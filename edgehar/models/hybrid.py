"""Hybrid fusion: a trunk a sensor, their embeddings side by side, and a dense layer over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgehar.models.entry import Shape
from edgehar.models.heads import take_head
from edgehar.models.parts import SENSORS_AND_FEATURES, Part, build_parts, common_stride

SOURCE = "Ngiam et al., Multimodal Deep Learning, 2011: a representation of each modality, joined in a shared layer"
INPUTS = SENSORS_AND_FEATURES


@dataclass(frozen=True)
class Config:
    """The trunks and what joins them."""

    parts: tuple[Part, ...] = ()  # one an input, their last layers taken off; () = the default of each
    joint: int = 64  # units of the dense layer over all embeddings
    dropout: float = 0.1  # before the last layer


_CNN = Part("ds_cnn", {"stem_channels": 8, "stem_kernel": 5, "stem_stride": 4, "blocks": ((12, 3, 1),)})
TINY = Config((_CNN, Part("cnn1d", {"channels": 4, "kernel": 8}), Part("mlp", {"hidden": (8,)})), 10, 0.0)


class Hybrid(nn.Module):
    """Inputs ``[N, T, C_i]`` and ``[N, F_i]`` → embeddings ``[N, E_i]`` → dense + ReLU ``[N, joint]`` → ``[N, K]``."""

    def __init__(self, config: Config, shapes: Sequence[Shape], classes: int) -> None:
        """Build for inputs of these shapes.

        Raises:
            ValueError: fewer than two inputs, another number of parts, or a part that cannot take its input.
        """
        super().__init__()
        self.parts = build_parts("hybrid", config.parts, shapes, classes)
        self.total_stride = common_stride(list(self.parts))
        width = sum(take_head(part).in_features for part in self.parts)
        self.joint = nn.Linear(width, config.joint)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.joint, classes)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits ``[N, K]``."""
        embeddings = [part(x) for part, x in zip(self.parts, inputs, strict=True)]
        return self.head(self.dropout(self.joint(torch.cat(embeddings, dim=1)).relu()))  # type: ignore[no-any-return]
