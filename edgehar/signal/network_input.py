"""What a network is fed: which front-end columns, or window features of them, make up each of its input tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgehar.signal.features import WindowFeatures

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class NetworkInput:
    """One input tensor of a network: the window of some front-end columns, or the vector of its features.

    Attributes:
        name: of the tensor, e.g. ``window``, ``acc``, ``features``.
        columns: front-end columns it gets, in order.
        features: what is computed of their window when it is complete; None: the tensor is the window itself.
    """

    name: str
    columns: tuple[int, ...]
    features: WindowFeatures | None = None

    def __post_init__(self) -> None:
        if not self.name or not self.columns or len(set(self.columns)) != len(self.columns):
            raise ValueError(f"input {self.name!r} gets columns {self.columns}: expected a name and different columns")
        if self.features is not None and len(self.features.columns) != len(self.columns):
            raise ValueError(
                f"input {self.name!r} gets {len(self.columns)} columns, its features are of "
                f"{len(self.features.columns)}"
            )

    def shape(self, window: int) -> tuple[int, ...]:
        """Return the tensor's shape for one window, without the batch axis."""
        return (window, len(self.columns)) if self.features is None else (self.features.width,)

    def pick(self, columns: F32) -> F32:
        """Return the input's own ``[..., C]`` of front-end columns ``[..., F]``; no copy where it gets all of them."""
        if self.columns == tuple(range(columns.shape[-1])):
            return columns
        return columns[..., self.columns]

    def tensor(self, windows: F32) -> F32:
        """Return what the network gets, ``[N, T, C]`` or ``[N, features]``, of front-end windows ``[N, T, F]``."""
        picked = self.pick(windows)
        return picked if self.features is None else self.features.run(picked)

    def fitted(self, windows: F32) -> Self:
        """Return a copy whose features are standardized to those of front-end windows ``[N, T, F]``, if it has any."""
        return self if self.features is None else replace(self, features=self.features.fitted(self.pick(windows)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data: dict[str, Any] = {"name": self.name, "columns": list(self.columns)}
        if self.features is not None:
            data["features"] = self.features.to_dict()
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        features = WindowFeatures.from_dict(data["features"]) if "features" in data else None
        return cls(data["name"], tuple(data["columns"]), features)


def input_tensors(inputs: Sequence[NetworkInput], windows: F32) -> tuple[F32, ...]:
    """Return the tensor of each input for front-end windows ``[N, T, F]``."""
    return tuple(each.tensor(windows) for each in inputs)
