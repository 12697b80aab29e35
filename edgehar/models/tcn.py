"""Temporal convolutional network: residual pairs of dilated, causal convolutions.

Each output column sees only columns at or before it. By default nothing is padded: a block's convolutions use up
columns at the front, and its residual is cropped to match, so a hop needs only its new columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

SOURCE = "Bai, Kolter & Koltun, An Empirical Evaluation of Generic Convolutional and Recurrent Networks, 2018 (TCN)"


@dataclass(frozen=True)
class Config:
    """Width, depth and reach. A block is two convolutions and uses up ``2 * (kernel - 1) * dilation`` columns."""

    stem_channels: int = 24  # channels after the first, strided convolution
    stem_kernel: int = 5  # samples
    stem_stride: int = 2
    blocks: tuple[tuple[int, int], ...] = ((24, 1), (24, 2), (24, 4))  # (channels, dilation) of each
    kernel: int = 5  # of the blocks' convolutions, columns
    padding: str = "valid"  # or "causal": zeros before the first column, as published; every block keeps its length
    pool: str = "mean"  # over the columns left; or "last": the newest column alone
    dropout: float = 0.1  # after each convolution of a block


TINY = Config(stem_channels=6, stem_stride=4, blocks=((6, 1), (8, 2)), kernel=3, dropout=0.0)


class Block(nn.Module):
    """``[N, C, T]`` → two dilated convolutions, plus the input → ReLU → ``[N, C', T']``."""

    def __init__(self, inputs: int, outputs: int, config: Config, dilation: int) -> None:
        """Build one block."""
        super().__init__()
        reach = (config.kernel - 1) * dilation
        self.padding = reach if config.padding == "causal" else 0
        self.shrinks = 0 if self.padding else 2 * reach
        settings = {"padding": self.padding, "dilation": dilation, "bias": False}
        self.conv1 = nn.Conv1d(inputs, outputs, config.kernel, **settings)  # type: ignore[arg-type]
        self.conv2 = nn.Conv1d(outputs, outputs, config.kernel, **settings)  # type: ignore[arg-type]
        self.norm1, self.norm2 = nn.BatchNorm1d(outputs), nn.BatchNorm1d(outputs)
        self.widen = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's columns, aligned at the newest."""
        y = self.dropout(self.norm1(self._causal(self.conv1(x))).relu())
        y = self.dropout(self.norm2(self._causal(self.conv2(y))).relu())
        residual = self.widen(x[:, :, self.shrinks :])
        return (y + residual).relu()  # type: ignore[no-any-return]

    def _causal(self, y: Tensor) -> Tensor:
        """Drop the columns that padding on both sides put after the newest."""
        return y[:, :, : -self.padding] if self.padding else y


class Tcn(nn.Module):
    """``[N, T, F]`` → strided stem → residual blocks ``[N, C, T']`` → mean over time or last column → ``[N, K]``."""

    def __init__(self, config: Config, window: int, features: int, classes: int) -> None:
        """Build for windows of ``window`` samples.

        Raises:
            ValueError: the convolutions leave no column of such a window, or a word in the config is not known.
        """
        super().__init__()
        for name, accepted in (("padding", ("valid", "causal")), ("pool", ("mean", "last"))):
            if getattr(config, name) not in accepted:
                raise ValueError(f"tcn: {name} is {getattr(config, name)!r}, expected one of {', '.join(accepted)}")
        self.total_stride, self.pool = config.stem_stride, config.pool
        stem = nn.Conv1d(features, config.stem_channels, config.stem_kernel, config.stem_stride, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm1d(config.stem_channels), nn.ReLU())
        widths = (config.stem_channels, *(channels for channels, _ in config.blocks))
        self.blocks = nn.Sequential(
            *(Block(widths[i], channels, config, dilation) for i, (channels, dilation) in enumerate(config.blocks))
        )
        columns = (window - config.stem_kernel) // config.stem_stride + 1
        columns -= sum(block.shrinks for block in self.blocks if isinstance(block, Block))
        if columns < 1:
            raise ValueError(f"tcn: a window of {window} samples is too short for these kernels and dilations")
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, K]`` of features ``[N, T, F]``."""
        y = self.blocks(self.stem(x.transpose(1, 2)))  # [N, C, T']
        pooled = torch.mean(y, dim=2) if self.pool == "mean" else y[:, :, -1]
        return self.head(pooled)  # type: ignore[no-any-return]
