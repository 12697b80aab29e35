"""The teaching CNN: one convolution, one max pool, one dense layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

SOURCE = "Conv1d 8 x k16, ReLU, MaxPool 16/2, dense: the small CNN of introductory HAR courses"


@dataclass(frozen=True)
class Config:
    """Sizes, all in samples or channels."""

    channels: int = 8
    kernel: int = 16
    pool: int = 16
    pool_stride: int = 2


TINY = Config(channels=4, kernel=8, pool=8, pool_stride=4)


class Cnn1d(nn.Module):
    """``[N, T, F]`` → Conv1d → ReLU → MaxPool → flatten → ``[N, K]``; at T=128 the dense layer sees 8 x 49 = 392."""

    def __init__(self, config: Config, window: int, features: int, classes: int) -> None:
        """Build for windows of ``window`` samples.

        Raises:
            ValueError: convolution and pool leave no column of such a window.
        """
        super().__init__()
        columns = (window - config.kernel + 1 - config.pool) // config.pool_stride + 1
        if columns < 1:
            raise ValueError(f"cnn1d: a window of {window} samples is too short for kernel and pool")
        self.total_stride = config.pool_stride
        self.conv = nn.Conv1d(features, config.channels, config.kernel)
        self.pool = nn.MaxPool1d(config.pool, config.pool_stride)
        self.head = nn.Linear(config.channels * columns, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, K]`` of features ``[N, T, F]``."""
        y = self.pool(self.conv(x.transpose(1, 2)).relu())
        return self.head(y.flatten(1))  # type: ignore[no-any-return]
