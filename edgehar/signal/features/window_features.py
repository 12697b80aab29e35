"""Which features of a window, and their standardization: a small data structure that device and training share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from edgehar.signal.features import autocorrelation, changes, correlations, moments, order, spectrum
from edgehar.signal.features.series import F32, Layout, Series, make_series

SMALLEST_WINDOW = 16  # samples; below it there are no three octaves and no lags
LARGEST = 4.0  # standard deviations at which a standardized feature is clamped: int8 steps of 0.03
SMALLEST_STD = 1e-3
BLOCK = 16  # windows at once: the products of the DFT then stay near the processor


class Family(NamedTuple):
    """Some features that are computed together.

    Attributes:
        names: of a layout's features.
        compute: ``[F, N]`` of N windows' series, in the order of the names.
    """

    names: Callable[[Layout], tuple[str, ...]]
    compute: Callable[[Series], F32]


FAMILIES: Mapping[str, Family] = {
    "moments": Family(moments.names, moments.compute),
    "order": Family(order.names, order.compute),
    "changes": Family(changes.names, changes.compute),
    "autocorrelation": Family(autocorrelation.names, autocorrelation.compute),
    "spectrum": Family(spectrum.names, spectrum.compute),
    "correlations": Family(correlations.names, correlations.compute),
}


@dataclass(frozen=True)
class WindowFeatures:
    """A window ``[T, C]`` of front-end (or raw) columns to a vector ``[F]``, the same bits in any batch and language.

    Only float32 additions, multiplications, divisions, square roots and comparisons in the order that each family's
    docstring states, and :func:`edgehar.signal.signed_log`. With a mean, feature i becomes
    ``min(max((f - mean[i]) * inv_std[i], -4), 4)``.

    Attributes:
        window: samples T.
        columns: names of the columns, in the order a window has them.
        groups: columns (indices) whose magnitude is a further series, the axes of one sensor.
        families: keys of ``FAMILIES``, in the order of the vector.
        mean, inv_std: one a feature, fitted on training windows; empty until then.
    """

    window: int
    columns: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...] = ()
    families: tuple[str, ...] = tuple(FAMILIES)
    mean: tuple[float, ...] = ()
    inv_std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not SMALLEST_WINDOW <= self.window <= 100_000:
            raise ValueError(f"window features: {self.window} samples, expected {SMALLEST_WINDOW} to 100000")
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise ValueError(f"window features: columns are {self.columns}, expected different names")
        if any(not group or not all(0 <= i < len(self.columns) for i in group) for group in self.groups):
            raise ValueError(f"window features: groups {self.groups} are outside columns 0..{len(self.columns) - 1}")
        unknown = [name for name in self.families if name not in FAMILIES]
        if unknown or not self.families or len(set(self.families)) != len(self.families):
            raise ValueError(
                f"window features: families are {', '.join(self.families) or '(none)'}, expected some of "
                f"{', '.join(FAMILIES)}, each once"
            )
        if len(self.mean) != len(self.inv_std) or len(self.mean) not in (0, self.width):
            raise ValueError(
                f"window features: {len(self.mean)} means and {len(self.inv_std)} inv_std for {self.width} features"
            )

    @property
    def layout(self) -> Layout:
        """Names and groups of the series."""
        return Layout(self.window, self.columns, self.groups)

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names, in the order of the vector."""
        return tuple(name for family in self.families for name in FAMILIES[family].names(self.layout))

    @property
    def width(self) -> int:
        """Number of features F."""
        return len(self.names)

    def run(self, windows: F32) -> F32:
        """Return features ``[..., F]`` of windows ``[..., T, C]``.

        Raises:
            ValueError: the windows have another shape.
        """
        if windows.ndim < 2 or windows.shape[-2:] != (self.window, len(self.columns)):
            raise ValueError(
                f"windows have shape {windows.shape}, expected [..., {self.window}, {len(self.columns)}] for "
                f"{', '.join(self.columns)}"
            )
        flat = windows.reshape(-1, *windows.shape[-2:])
        out = np.empty((len(flat), self.width), np.float32)
        layout = self.layout
        for begin in range(0, len(flat), BLOCK):
            series = make_series(layout, flat[begin : begin + BLOCK])
            parts = [FAMILIES[family].compute(series) for family in self.families]
            out[begin : begin + BLOCK] = np.concatenate(parts).T
        if self.mean:
            out -= np.asarray(self.mean, np.float32)
            out *= np.asarray(self.inv_std, np.float32)
            np.clip(out, np.float32(-LARGEST), np.float32(LARGEST), out=out)
        return out.reshape(*windows.shape[:-2], self.width)

    def fitted(self, windows: F32) -> WindowFeatures:
        """Return a copy that standardizes to the mean and deviation of the features of ``windows`` ``[N, T, C]``."""
        features = replace(self, mean=(), inv_std=()).run(windows)
        mean = features.mean(axis=0, dtype=np.float64)
        inv_std = 1.0 / np.maximum(features.std(axis=0, dtype=np.float64), SMALLEST_STD)
        as_f32 = [tuple(float(v) for v in a.astype(np.float32)) for a in (mean, inv_std)]
        return replace(self, mean=as_f32[0], inv_std=as_f32[1])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "window": self.window,
            "columns": list(self.columns),
            "groups": [list(group) for group in self.groups],
            "families": list(self.families),
            "mean": list(self.mean),
            "inv_std": list(self.inv_std),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WindowFeatures:
        """Rebuild from :meth:`to_dict`.

        Raises:
            ValueError: a key is missing or unknown, or the fields do not fit together.
        """
        try:
            fields: dict[str, Any] = {name: value if name == "window" else tuple(value) for name, value in data.items()}
            fields["groups"] = tuple(tuple(group) for group in data["groups"])
            return cls(**fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"window features: malformed description ({error!r})") from None


def default_window_features(columns: Sequence[str], window: int) -> WindowFeatures:
    """Return all families over ``columns``; columns named ``NAME_x``, ``NAME_y``, ``NAME_z`` are one group."""
    place = {name: i for i, name in enumerate(columns)}
    stems = [name.removesuffix("_x") for name in columns if name.endswith("_x")]
    axes = [tuple(place.get(f"{stem}_{axis}", -1) for axis in "xyz") for stem in stems]
    return WindowFeatures(window, tuple(columns), tuple(group for group in axes if -1 not in group))
