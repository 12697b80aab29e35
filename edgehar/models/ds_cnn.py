"""Depthwise-separable 1-D CNN: the default. Unpadded convolutions, so a hop needs only its new columns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

SOURCE = "Zhang et al., Hello Edge: Keyword Spotting on Microcontrollers, 2017 (DS-CNN), in one dimension"


@dataclass(frozen=True)
class Config:
    """Width and depth.

    ``blocks`` are (out_channels, kernel, stride) of each depthwise + pointwise pair. Few blocks with long kernels
    beat many with short ones (docs/decisions/0004): depthwise taps are nearly free, and a step of gait is long.
    """

    stem_channels: int = 24  # channels after the first, full convolution
    stem_kernel: int = 9  # samples
    stem_stride: int = 2
    blocks: tuple[tuple[int, int, int], ...] = ((48, 15, 2), (96, 9, 1))
    dropout: float = 0.1  # before the last layer


TINY = Config(stem_channels=8, stem_kernel=5, stem_stride=4, blocks=((12, 3, 1), (16, 3, 2)), dropout=0.0)


def _conv(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> list[nn.Module]:
    conv = nn.Conv1d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return [conv, nn.BatchNorm1d(outputs), nn.ReLU()]


class DsCnn(nn.Module):
    """``[N, T, F]`` → stem → depthwise/pointwise blocks → mean over time → ``[N, K]``."""

    def __init__(self, config: Config, window: int, features: int, classes: int) -> None:
        """Build for windows of ``window`` samples.

        Raises:
            ValueError: the convolutions leave no column of such a window.
        """
        super().__init__()
        layers = _conv(features, config.stem_channels, config.stem_kernel, config.stem_stride, groups=1)
        columns = (window - config.stem_kernel) // config.stem_stride + 1
        channels = config.stem_channels
        self.total_stride = config.stem_stride
        for outputs, kernel, stride in config.blocks:
            layers += _conv(channels, channels, kernel, stride, groups=channels)
            layers += _conv(channels, outputs, 1, 1, groups=1)
            channels = outputs
            columns = (columns - kernel) // stride + 1
            self.total_stride *= stride
        if columns < 1:
            raise ValueError(f"ds_cnn: a window of {window} samples is too short for these kernels and strides")
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, K]`` of features ``[N, T, F]``."""
        y = self.layers(x.transpose(1, 2))  # [N, C, T']
        pooled: Tensor = torch.mean(y, dim=2)
        return self.head(self.dropout(pooled))  # type: ignore[no-any-return]
