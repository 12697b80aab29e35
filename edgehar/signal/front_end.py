"""The front end as data: which columns, which steps, which scaling; and the stream that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.recording import Channel
from edgehar.signal.biquad import Biquad
from edgehar.signal.difference import Difference
from edgehar.signal.quantization import LARGEST
from edgehar.signal.signed_log import SignedLog

F32 = NDArray[np.float32]

RAW_LIMIT = np.float32(1e9)  # larger raw values saturate, so that no step can make an infinite number of them or a NaN

Step = Biquad | Difference | SignedLog
STEPS: dict[str, type[Step]] = {"biquad": Biquad, "difference": Difference, "signed_log": SignedLog}


@dataclass(frozen=True)
class FrontEnd:
    """Raw sample ``[C]`` to feature sample ``[F]``, causal, at the same rate.

    Raw values are finite; the device holds a channel's last good value where one is not. They are clamped to ±1e9.

    Attributes:
        channels: raw channels, in the order a sample carries them (their names).
        select: raw column behind each feature column.
        gain: factor on each feature column (unit conversion, sign flip of an axis).
        steps: applied in order, each on the feature columns it names.
        names: feature column names.
        mean, inv_std: per-column standardization ``(x - mean) * inv_std``, fitted on training people; empty until then.
    """

    channels: tuple[str, ...]
    select: tuple[int, ...]
    gain: tuple[float, ...]
    steps: tuple[Step, ...]
    names: tuple[str, ...]
    mean: tuple[float, ...] = ()
    inv_std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        width = len(self.select)
        if len(self.gain) != width or len(self.names) != width:
            raise ValueError(f"front end: {width} columns, {len(self.gain)} gains, {len(self.names)} names")
        if not all(abs(factor) <= float(RAW_LIMIT) for factor in self.gain):
            raise ValueError(f"front end: gains {self.gain}, expected finite ones of at most {RAW_LIMIT:g}")
        if not all(isinstance(name, str) for name in (*self.channels, *self.names)):
            raise ValueError(f"front end: channels {self.channels} and columns {self.names}, expected names")
        if not all(isinstance(i, int | np.integer) and 0 <= i < len(self.channels) for i in self.select):
            raise ValueError(f"front end: select {self.select} is outside the {len(self.channels)} raw channels")
        if len(self.mean) != len(self.inv_std) or len(self.mean) not in (0, width):
            raise ValueError(f"front end: {len(self.mean)} means and {len(self.inv_std)} inv_std for {width} columns")
        if not all(isinstance(x, int | float | np.floating) and abs(x) <= LARGEST for x in (*self.mean, *self.inv_std)):
            raise ValueError(f"front end: mean {self.mean} and inv_std {self.inv_std}, expected numbers of a float32")
        for step in self.steps:
            if not step.columns or not all(isinstance(i, int | np.integer) and 0 <= i < width for i in step.columns):
                raise ValueError(f"front end: step {step.op} works on columns {step.columns}, outside 0..{width - 1}")

    @property
    def width(self) -> int:
        """Number of feature columns F."""
        return len(self.select)

    @property
    def memory_samples(self) -> int:
        """Earlier raw samples that a feature sample depends on."""
        return sum(step.memory_samples for step in self.steps)

    def stream(self) -> FrontEndStream:
        """Return a fresh stream: feed it samples or chunks in order."""
        return FrontEndStream(self)

    def run(self, samples: F32) -> F32:
        """Return features ``[..., T, F]`` of raw samples ``[..., T, C]`` from a reset state."""
        return self.stream().push(samples)

    def fitted(self, features: F32) -> FrontEnd:
        """Return a copy that standardizes to the mean and deviation of ``features`` ``[N, F]`` (unstandardized)."""
        mean = features.mean(axis=0, dtype=np.float64)
        std = features.std(axis=0, dtype=np.float64)
        inv_std = 1.0 / np.maximum(std, 1e-6)
        as_f32 = [tuple(float(v) for v in np.asarray(a, np.float32)) for a in (mean, inv_std)]
        return replace(self, mean=as_f32[0], inv_std=as_f32[1])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, the manifest's ``front_end``."""
        steps: list[dict[str, Any]] = []
        for step in self.steps:
            entry: dict[str, Any] = {"op": step.op, "columns": list(step.columns)}
            if isinstance(step, SignedLog):
                entry["scale"] = list(step.scale)
            if isinstance(step, Biquad):
                entry["sections"] = [list(s) for s in step.sections]
                entry["settle_samples"] = step.settle_samples
            steps.append(entry)
        return {
            "channels": list(self.channels),
            "names": list(self.names),
            "select": list(self.select),
            "gain": list(self.gain),
            "steps": steps,
            "mean": list(self.mean),
            "inv_std": list(self.inv_std),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FrontEnd:
        """Rebuild from :meth:`to_dict`.

        Raises:
            ValueError: a key is missing, or a step is unknown (the message lists the known ones).
        """
        try:
            steps = []
            for entry in data["steps"]:
                options = {k: v for k, v in entry.items() if k != "op"}
                if entry["op"] not in STEPS:
                    raise ValueError(f"front end: unknown step {entry['op']!r}, known are {', '.join(STEPS)}")
                options = {k: _tuples(v) for k, v in options.items()}
                steps.append(STEPS[entry["op"]](**options))
            fields = ("channels", "select", "gain", "names", "mean", "inv_std")
            return cls(steps=tuple(steps), **{name: tuple(data[name]) for name in fields})
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"front end: malformed description ({error!r})") from None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


class FrontEndStream:
    """Runs a :class:`FrontEnd` over chunks of any length, one sample included, with the same bits out.

    Inside, time is the last axis: every operation then runs along contiguous memory, three times as fast.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self._select = np.asarray(front_end.select, np.intp)
        self._gain = np.asarray(front_end.gain, np.float32)[:, None]
        self._has_gain = bool((self._gain != 1).any())
        self._steps = [(step, _columns(step.columns)) for step in front_end.steps]
        self._mean = np.asarray(front_end.mean, np.float32)[:, None]
        self._inv_std = np.asarray(front_end.inv_std, np.float32)[:, None]
        self.reset()

    def reset(self) -> None:
        """Forget the past, as after power-on."""
        self._states: list[Any] = [None] * len(self._steps)

    def push(self, samples: F32) -> F32:
        """Return features ``[..., T, F]`` of the next raw samples ``[..., T, C]``, T >= 0."""
        if samples.ndim < 2 or samples.shape[-1] != len(self.front_end.channels):
            raise ValueError(
                f"samples have shape {samples.shape}, expected [..., T, {len(self.front_end.channels)}] for "
                f"{', '.join(self.front_end.channels)}"
            )
        raw = np.ascontiguousarray(samples.swapaxes(-1, -2), np.float32)
        x: F32 = raw.take(self._select, axis=-2)
        if x.shape[-1] == 0:
            return x.swapaxes(-1, -2)
        np.minimum(x, RAW_LIMIT, out=x)
        np.maximum(x, -RAW_LIMIT, out=x)
        if self._has_gain:
            x *= self._gain
        for i, (step, columns) in enumerate(self._steps):
            x[..., columns, :], self._states[i] = step.apply(x[..., columns, :], self._states[i])
        if len(self._mean):
            x -= self._mean
            x *= self._inv_std
        return x.swapaxes(-1, -2)


def _columns(columns: tuple[int, ...]) -> slice | NDArray[np.intp]:
    """A slice where the columns are consecutive (a view), an index array elsewhere (a copy)."""
    if columns == tuple(range(columns[0], columns[0] + len(columns))):
        return slice(columns[0], columns[0] + len(columns))
    return np.asarray(columns, np.intp)


ACC_SLOG_G = 0.005  # micro-motion that separates sitting from standing
GYRO_SLOG_RAD_S = 0.01


def default_front_end(channels: tuple[Channel, ...]) -> FrontEnd:
    """Return the default features: acc, slog(first difference of acc), slog(gyro), others as they are.

    Args:
        channels: raw channels, of any number of devices; none has to be there.

    Raises:
        ValueError: there is no channel at all.
    """
    if not channels:
        raise ValueError("the default front end needs channels, found none")
    acc = [i for i, c in enumerate(channels) if c.quantity == "acc"]
    gyro = [i for i, c in enumerate(channels) if c.quantity == "gyro"]
    others = [i for i in range(len(channels)) if i not in (*acc, *gyro)]
    a, g = len(acc), len(gyro)
    names = [channels[i].name for i in acc] + [f"slog_diff_{channels[i].name}" for i in acc]
    names += [f"slog_{channels[i].name}" for i in gyro] + [channels[i].name for i in others]
    scale = (ACC_SLOG_G,) * a + (GYRO_SLOG_RAD_S,) * g
    steps: list[Step] = [Difference(columns=tuple(range(a, 2 * a)))] if a else []
    steps += [SignedLog(columns=tuple(range(a, 2 * a + g)), scale=scale)] if a + g else []
    return FrontEnd(
        channels=tuple(c.name for c in channels),
        select=(*acc, *acc, *gyro, *others),
        gain=(1.0,) * (2 * a + g + len(others)),
        steps=tuple(steps),
        names=tuple(names),
    )
