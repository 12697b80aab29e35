"""Modules that our ONNX reader cannot place and litert-torch can, and the float files that it made of them.

python -m venv V && V/bin/pip install torch==2.13.0 litert-torch==0.10.0
V/bin/python tests/litert_modules.py      # writes tests/fixtures/litert/*.tflite; weights follow from the seed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parent / "fixtures" / "litert"
WINDOW, CHANNELS, CLASSES = 24, 6, 4


class Heads(nn.Module):
    """Self-attention of two heads at once."""

    def __init__(self) -> None:
        super().__init__()
        self.inp, self.qkv, self.out = nn.Linear(CHANNELS, 8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        n, t, c = x.shape
        q, k, v = (part.reshape(n, t, 2, 4).transpose(1, 2) for part in self.qkv(x).split(8, -1))
        attended = torch.softmax(q @ k.transpose(2, 3) * 0.5, -1) @ v
        x = x + self.out(attended.transpose(1, 2).reshape(n, t, c))
        return self.head(x.mean(1))  # type: ignore[no-any-return]


class Shuffle(nn.Module):
    """Grouped convolutions with their channels shuffled between."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(CHANNELS, 8, 3, groups=2), nn.Conv1d(8, 8, 3, groups=2)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.a(x.transpose(1, 2)))
        n, c, t = x.shape
        x = x.reshape(n, 2, c // 2, t).transpose(1, 2).reshape(n, c, t)
        return self.head(torch.relu(self.b(x)).mean(-1))  # type: ignore[no-any-return]


MODULES: Mapping[str, Callable[[], nn.Module]] = {"heads": Heads, "shuffle": Shuffle}


def module(name: str) -> nn.Module:
    """The module with the weights that its file holds."""
    torch.manual_seed(0)
    return MODULES[name]().eval()


if __name__ == "__main__":
    import litert_torch

    FOLDER.mkdir(parents=True, exist_ok=True)
    for each in MODULES:
        example = torch.zeros(1, WINDOW, CHANNELS)
        litert_torch.convert(module(each), (example,)).export(str(FOLDER / f"{each}.tflite"))
