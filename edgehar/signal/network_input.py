"""What a network is fed: which front-end columns make up each of its input tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class NetworkInput:
    """One input tensor of a network, the window of some front-end columns.

    Attributes:
        name: of the tensor, e.g. ``window``, ``acc``.
        columns: front-end columns it gets, in order.
    """

    name: str
    columns: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.name or not self.columns or len(set(self.columns)) != len(self.columns):
            raise ValueError(f"input {self.name!r} gets columns {self.columns}: expected a name and different columns")

    def shape(self, window: int) -> tuple[int, ...]:
        """Return the tensor's shape for one window, without the batch axis."""
        return window, len(self.columns)

    def pick(self, columns: F32) -> F32:
        """Return the input's own ``[..., C]`` of front-end columns ``[..., F]``; no copy where it gets all of them."""
        if self.columns == tuple(range(columns.shape[-1])):
            return columns
        return columns[..., self.columns]

    def tensor(self, windows: F32) -> F32:
        """Return what the network gets, ``[N, T, C]``, of front-end windows ``[N, T, F]``."""
        return self.pick(windows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"name": self.name, "columns": list(self.columns)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(name=data["name"], columns=tuple(data["columns"]))


def input_tensors(inputs: Sequence[NetworkInput], windows: F32) -> tuple[F32, ...]:
    """Return the tensor of each input for front-end windows ``[N, T, F]``."""
    return tuple(each.tensor(windows) for each in inputs)
