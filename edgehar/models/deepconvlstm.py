"""DeepConvLSTM: unpadded convolutions find short patterns, LSTMs follow them over the window, the last step decides."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

SOURCE = (
    "Ordóñez & Roggen, Deep Convolutional and LSTM Recurrent Neural Networks for Multimodal Wearable Activity "
    "Recognition, 2016; here a convolution mixes all channels, there each channel was convolved alone"
)


@dataclass(frozen=True)
class Config:
    """Width and depth; ``convolutions`` are (out_channels, kernel, stride)."""

    convolutions: tuple[tuple[int, int, int], ...] = ((64, 5, 1), (64, 5, 1), (64, 5, 1), (64, 5, 1))
    units: int = 128  # of each LSTM layer
    layers: int = 2
    dropout: float = 0.5  # between LSTM layers and before the last layer


TINY = Config(convolutions=((6, 5, 2), (8, 3, 2)), units=6, layers=1, dropout=0.0)


class DeepConvLstm(nn.Module):
    """``[N, T, F]`` → convolutions ``[N, C, T']`` → LSTM layers ``[N, T', H]`` → last step → ``[N, K]``."""

    def __init__(self, config: Config, window: int, features: int, classes: int) -> None:
        """Build for windows of ``window`` samples.

        Raises:
            ValueError: the convolutions leave no column of such a window.
        """
        super().__init__()
        layers: list[nn.Module] = []
        columns, channels, self.total_stride = window, features, 1
        for outputs, kernel, stride in config.convolutions:
            layers += [nn.Conv1d(channels, outputs, kernel, stride), nn.ReLU()]
            columns, channels = (columns - kernel) // stride + 1, outputs
            self.total_stride *= stride
        if columns < 1:
            raise ValueError(f"deepconvlstm: a window of {window} samples is too short for these kernels and strides")
        self.convolutions = nn.Sequential(*layers)
        between = config.dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(channels, config.units, config.layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.units, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, K]`` of features ``[N, T, F]``."""
        columns = self.convolutions(x.transpose(1, 2)).transpose(1, 2)  # [N, T', C]
        y, _ = self.lstm(columns)
        return self.head(self.dropout(y[:, -1]))  # type: ignore[no-any-return]
