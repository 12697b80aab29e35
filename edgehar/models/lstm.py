"""Stacked LSTM over the window. Devices run each layer as one fused operator; the state starts anew every window."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

SOURCE = "Hochreiter & Schmidhuber, Long Short-Term Memory, 1997; sizes of the BiLSTM studies on UCI HAR"


@dataclass(frozen=True)
class Config:
    """Width and depth."""

    units: int = 64  # of each layer
    layers: int = 2
    dense: int = 0  # units of a ReLU layer before the last; 0 leaves it out
    pool: str = "mean"  # of the hidden states over time; or "last": the newest alone
    dropout: float = 0.2  # between layers and before the dense layers


TINY = Config(units=6, layers=2, dense=8, pool="last", dropout=0.0)


class Lstm(nn.Module):
    """``[N, T, F]`` → LSTM layers ``[N, T, H]`` → mean over time or last step → (dense) → ``[N, K]``."""

    def __init__(self, config: Config, window: int, features: int, classes: int) -> None:
        """Build for windows of any number of samples.

        Raises:
            ValueError: ``pool`` is not known.
        """
        super().__init__()
        if config.pool not in ("mean", "last"):
            raise ValueError(f"lstm: pool is {config.pool!r}, expected mean or last")
        self.total_stride, self.pool = 1, config.pool
        between = config.dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(features, config.units, config.layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(config.dropout)
        self.dense = nn.Sequential(nn.Linear(config.units, config.dense), nn.ReLU()) if config.dense else nn.Identity()
        self.head = nn.Linear(config.dense or config.units, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, K]`` of features ``[N, T, F]``."""
        y, _ = self.lstm(x)
        pooled = torch.mean(y, dim=1) if self.pool == "mean" else y[:, -1]
        return self.head(self.dense(self.dropout(pooled)))  # type: ignore[no-any-return]
