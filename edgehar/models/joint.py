"""Joint CNN-LSTM and attention: convolutions of several lengths, then an LSTM and attention side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgehar.models.transformer import Head, UnitNorm, sinusoids

SOURCE = "six-head CNN-LSTM joined with a transformer branch; attention of Vaswani et al., 2017, on unit columns"


@dataclass(frozen=True)
class Config:
    """Sizes. The default fits a microcontroller, ``PUBLISHED`` is the study's."""

    kernels: tuple[int, ...] = (3, 5, 7, 9, 11, 13)  # samples, odd; one convolution each, side by side
    channels: int = 8  # of each of these convolutions
    stride: int = 4  # of all of them
    lstm_layers: int = 2
    lstm_units: int = 24
    attention_heads: int = 2
    head_width: int = 16
    dense: tuple[int, ...] = (64, 32)
    dropout: float = 0.2  # before each dense layer


TINY = Config((3, 5), channels=4, lstm_units=4, attention_heads=1, head_width=4, dense=(8,), dropout=0.0)
PUBLISHED = Config(channels=64, stride=2, lstm_units=128, attention_heads=8, head_width=48, dense=(512, 256))


class Joint(nn.Module):
    """``[N, T, F]`` → convolutions ``[N, T', C]`` → (last LSTM state ∥ mean of attention) → dense → ``[N, K]``.

    Padded by half a kernel on both sides, so that all kernels give ``ceil(T / stride)`` columns.
    """

    positions: Tensor

    def __init__(self, config: Config, window: int, features: int, classes: int) -> None:
        """Build for windows of ``window`` samples.

        Raises:
            ValueError: a kernel is even, or longer than such a window.
        """
        super().__init__()
        if any(kernel % 2 == 0 for kernel in config.kernels):
            raise ValueError(f"joint: kernels are {config.kernels}, expected odd numbers")
        if max(config.kernels) > window:
            raise ValueError(f"joint: a window of {window} samples is too short for a kernel of {max(config.kernels)}")
        self.total_stride = config.stride
        self.convolutions = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(features, config.channels, kernel, config.stride, kernel // 2, bias=False),
                nn.BatchNorm1d(config.channels),
                nn.ReLU(),
            )
            for kernel in config.kernels
        )
        width, columns = config.channels * len(config.kernels), -(-window // config.stride)
        self.lstm = nn.LSTM(width, config.lstm_units, config.lstm_layers, batch_first=True)
        self.register_buffer("positions", sinusoids(columns, width))
        self.norm = UnitNorm(width)
        self.heads = nn.ModuleList(Head(width, config.head_width) for _ in range(config.attention_heads))
        widths = (config.lstm_units + width, *config.dense)
        layers: list[nn.Module] = []
        for i, outputs in enumerate(config.dense):
            layers += [nn.Dropout(config.dropout), nn.Linear(widths[i], outputs), nn.ReLU()]
        self.dense = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, K]`` of features ``[N, T, F]``."""
        series = x.transpose(1, 2)
        columns = torch.cat([convolution(series) for convolution in self.convolutions], dim=1).transpose(1, 2)
        states: Tensor = self.lstm(columns)[0]
        placed = columns + self.positions
        unit = self.norm(placed)
        for head in self.heads:
            placed = placed + head(unit)
        joined = torch.cat([states[:, -1], torch.mean(placed, dim=1)], dim=1)
        return self.head(self.dense(joined))  # type: ignore[no-any-return]
