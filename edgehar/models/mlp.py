"""Multi-layer perceptron on window features: a shared trunk, whose last layer several heads may replace."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

SOURCE = "Caruana, Multitask Learning, 1997: hidden layers that all tasks share; on hand-made features of a window"


@dataclass(frozen=True)
class Config:
    """Width and depth of the trunk."""

    hidden: tuple[int, ...] = (64, 32)  # units of each layer
    dropout: float = 0.2  # after each layer


TINY = Config(hidden=(12,), dropout=0.0)


class Mlp(nn.Module):
    """``[N, F]`` → dense → ReLU, layer after layer → ``[N, K]``."""

    def __init__(self, config: Config, features: int, classes: int) -> None:
        """Build for vectors of ``features`` numbers.

        Raises:
            ValueError: there is no hidden layer, or an empty one.
        """
        super().__init__()
        if not config.hidden or min(config.hidden) < 1:
            raise ValueError(f"mlp: hidden layers of {config.hidden} units, expected at least one of at least 1")
        self.total_stride = 1  # it sees whole windows only
        layers: list[nn.Module] = []
        widths = (features, *config.hidden)
        for before, width in zip(widths, config.hidden, strict=False):
            layers += [nn.Linear(before, width), nn.ReLU(), nn.Dropout(config.dropout)]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, K]`` of features ``[N, F]``."""
        return self.head(self.trunk(x))  # type: ignore[no-any-return]
