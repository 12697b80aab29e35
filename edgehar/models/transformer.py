"""Small transformer encoder: strided convolutions make few columns, self-attention relates each to all others.

Two choices make it fit integers (docs/decisions/0007): normalization is to unit length, which microcontrollers have
as one op, and each head has projections of its own, so that no tensor has more than three axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SOURCE = "Vaswani et al., Attention Is All You Need, 2017; RMSNorm (Zhang & Sennrich, 2019) before each part"

SHORTEST = 1e-6  # length of a column that is divided by


@dataclass(frozen=True)
class Config:
    """Stem, width and depth; the stem's last channels are the encoder's width."""

    stem: tuple[tuple[int, int, int], ...] = ((32, 9, 2), (32, 5, 2))  # (channels, kernel, stride) of each convolution
    blocks: int = 1  # of attention and feed-forward
    heads: int = 2
    head_width: int = 16
    feed_forward: int = 64
    dropout: float = 0.1  # after attention, after feed-forward, and before the last layer


TINY = Config(stem=((8, 5, 4),), head_width=4, feed_forward=12, dropout=0.0)


def sinusoids(columns: int, width: int) -> Tensor:
    """Return the positional encoding ``[columns, width]``: sines in even channels, cosines in odd ones.

    Source: Vaswani et al. 2017, section 3.5.
    """
    place = torch.arange(columns)[:, None]
    angle = place * torch.exp(torch.arange(width) // 2 * 2 * (-math.log(10_000) / width))
    return torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos())


class UnitNorm(nn.Module):
    """Each column brought to unit length, times a gain a channel: RMSNorm."""

    def __init__(self, width: int) -> None:
        """Build with the gain that gives channels a mean square of 1."""
        super().__init__()
        self.gain = nn.Parameter(torch.full((width,), math.sqrt(width)))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[..., C]`` of the same shape."""
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(SHORTEST)
        return x / length * self.gain  # type: ignore[no-any-return]


class Head(nn.Module):
    """One attention head: ``[N, T, C]`` → its share of the output ``[N, T, C]``."""

    def __init__(self, width: int, inner: int) -> None:
        """Build the four projections."""
        super().__init__()
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner, bias=False)  # softmax does not see what is added to all keys
        self.value = nn.Linear(width, inner)
        self.output = nn.Linear(inner, width, bias=False)
        self.scale = inner**-0.5

    def forward(self, x: Tensor) -> Tensor:
        """Return what the columns take from one another."""
        scores = (self.query(x) * self.scale) @ self.key(x).transpose(1, 2)
        return self.output(scores.softmax(dim=-1) @ self.value(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and feed-forward, each on normalized columns and added to them."""

    def __init__(self, config: Config, width: int) -> None:
        """Build one block."""
        super().__init__()
        self.norm1, self.norm2 = UnitNorm(width), UnitNorm(width)
        self.heads = nn.ModuleList(Head(width, config.head_width) for _ in range(config.heads))
        self.feed_forward = nn.Sequential(
            nn.Linear(width, config.feed_forward), nn.ReLU(), nn.Linear(config.feed_forward, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, T, C]``."""
        unit = self.norm1(x)
        for head in self.heads:
            x = x + self.dropout(head(unit))
        return x + self.dropout(self.feed_forward(self.norm2(x)))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """``[N, T, F]`` → strided stem → plus positions ``[N, T', C]`` → blocks → mean over time → ``[N, K]``."""

    positions: Tensor

    def __init__(self, config: Config, window: int, features: int, classes: int) -> None:
        """Build for windows of ``window`` samples.

        Raises:
            ValueError: the stem leaves no column of such a window.
        """
        super().__init__()
        stem: list[nn.Module] = []
        width, columns, self.total_stride = features, window, 1
        for channels, kernel, stride in config.stem:
            stem += [nn.Conv1d(width, channels, kernel, stride, bias=False), nn.BatchNorm1d(channels), nn.ReLU()]
            width, columns = channels, (columns - kernel) // stride + 1
            self.total_stride *= stride
        if columns < 1:
            raise ValueError(f"transformer: a window of {window} samples is too short for the stem's kernels")
        self.stem = nn.Sequential(*stem)
        self.register_buffer("positions", sinusoids(columns, width))
        self.blocks = nn.Sequential(*(Block(config, width) for _ in range(config.blocks)))
        self.norm = UnitNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, K]`` of features ``[N, T, F]``."""
        y = self.stem(x.transpose(1, 2)).transpose(1, 2) + self.positions
        pooled = torch.mean(self.blocks(y), dim=1)
        return self.head(self.dropout(self.norm(pooled)))  # type: ignore[no-any-return]
