"""Stacked bidirectional LSTM over the window: one pass from the first sample, one from the last, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

SOURCE = "Schuster & Paliwal, Bidirectional Recurrent Neural Networks, 1997; sizes of the BiLSTM studies on UCI HAR"


@dataclass(frozen=True)
class Config:
    """Width and depth."""

    units: int = 64  # of each layer and direction
    layers: int = 2
    dense: int = 0  # units of a ReLU layer before the last; 0 leaves it out
    pool: str = "mean"  # of the hidden states over time; or "last": at the newest sample, where one direction begins
    dropout: float = 0.2  # between layers and before the dense layers


TINY = Config(units=5, layers=2, dropout=0.0)


class BiLstm(nn.Module):
    """``[N, T, F]`` → BiLSTM layers ``[N, T, 2 H]`` → mean over time or last step → (dense) → ``[N, K]``."""

    def __init__(self, config: Config, window: int, features: int, classes: int) -> None:
        """Build for windows of any number of samples.

        Raises:
            ValueError: ``pool`` is not known.
        """
        super().__init__()
        if config.pool not in ("mean", "last"):
            raise ValueError(f"bilstm: pool is {config.pool!r}, expected mean or last")
        self.total_stride, self.pool = 1, config.pool
        between = config.dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(
            features, config.units, config.layers, batch_first=True, dropout=between, bidirectional=True
        )
        self.dropout = nn.Dropout(config.dropout)
        width = 2 * config.units
        self.dense = nn.Sequential(nn.Linear(width, config.dense), nn.ReLU()) if config.dense else nn.Identity()
        self.head = nn.Linear(config.dense or width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, K]`` of features ``[N, T, F]``."""
        y, _ = self.lstm(x)
        pooled = torch.mean(y, dim=1) if self.pool == "mean" else y[:, -1]
        return self.head(self.dense(self.dropout(pooled)))  # type: ignore[no-any-return]
