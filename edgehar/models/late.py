"""Late fusion: a whole network a sensor, each trained as if it were alone, and a weighted vote of their logits.

The vote is ``sum of w_i * logits_i``, which is the weighted geometric mean of their probabilities. A device holds all
of it in one file: the weights fold into the networks' last layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Self

import torch
from torch import Tensor, nn

from edgehar.models.entry import Shape
from edgehar.models.heads import outputs_of, with_heads
from edgehar.models.parts import SENSORS_AND_FEATURES, Part, build_parts, common_stride

SOURCE = "Genest and Zidek, Combining Probability Distributions, 1986, section 4: the logarithmic opinion pool"
INPUTS = SENSORS_AND_FEATURES


@dataclass(frozen=True)
class Config:
    """The voters and what each vote counts."""

    parts: tuple[Part, ...] = ()  # one an input; () = the default of each
    weights: tuple[float, ...] = ()  # of each vote, used in proportion; () = learned, for each head its own


_CNN = Part("ds_cnn", {"stem_channels": 8, "stem_kernel": 5, "stem_stride": 4, "blocks": ((12, 3, 1),)})
TINY = Config((_CNN, Part("cnn1d", {"channels": 4, "kernel": 8}), Part("mlp", {"hidden": (8,)})))


class Late(nn.Module):
    """Inputs ``[N, T, C_i]`` and ``[N, F_i]`` → logits ``[N, K]`` of each network → their weighted sum ``[N, K]``."""

    def __init__(self, config: Config, shapes: Sequence[Shape], classes: int) -> None:
        """Build for inputs of these shapes.

        Raises:
            ValueError: fewer than two inputs, another number of parts or weights, or a weight that is not positive.
        """
        super().__init__()
        self.voters = build_parts("late", config.parts, shapes, classes)
        if config.weights and (len(config.weights) != len(shapes) or min(config.weights) <= 0):
            raise ValueError(f"late: weights are {config.weights}, expected {len(shapes)} positive ones, or none")
        self.total_stride = common_stride(list(self.voters))
        start = torch.tensor([config.weights or (1.0,) * len(shapes)]).log()
        self.log_weights = nn.Parameter(start, requires_grad=not config.weights)  # [heads, voters], up to a constant

    def with_heads(self, classes: Sequence[int]) -> Self:
        """Give every voter these heads, and every head a vote of its own."""
        self.voters = nn.ModuleList(with_heads(voter, classes) for voter in self.voters)
        start = self.log_weights
        self.log_weights = nn.Parameter(start.detach().repeat(len(classes), 1), requires_grad=start.requires_grad)
        return self

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return logits ``[N, K]``, a tuple of them where there are several heads."""
        votes = self._vote(self._ballots(inputs))
        return votes[0] if len(votes) == 1 else votes

    def trained_outputs(self, *inputs: Tensor) -> list[tuple[Tensor, ...]]:
        """Return what a loss is due to: the vote, in which only the weights learn, then each voter's logits."""
        ballots = self._ballots(inputs)
        return [self._vote([tuple(logits.detach() for logits in ballot) for ballot in ballots]), *ballots]

    def _ballots(self, inputs: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        return [outputs_of(voter, x) for voter, x in zip(self.voters, inputs, strict=True)]

    def _vote(self, ballots: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        shares = self.log_weights.softmax(dim=1)
        heads = enumerate(zip(*ballots, strict=True))
        weighted = ([shares[i, j] * logits for j, logits in enumerate(voted)] for i, voted in heads)
        return tuple(reduce(torch.add, voted) for voted in weighted)
