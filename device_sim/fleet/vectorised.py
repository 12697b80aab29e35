"""The windows of many devices, as arrays, through one interpreter; then each device's own decision stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions import Answering, DecisionBatch
from device_sim.device import decisions_of
from device_sim.engines.batches import infer_many
from device_sim.engines.protocol import Engine
from device_sim.fleet.c_filter import QUICKEST
from device_sim.fleet.windows import windows_of
from device_sim.results import Event
from edgehar.bundle import Bundle

F32 = NDArray[np.float32]


class VectorisedFleet:
    """See :class:`device_sim.fleet.fleet.Fleet`.

    All devices have seen the same number of samples unless they have ended, so their windows are complete at the same
    moments: one array holds them all.
    """

    def __init__(self, bundle: Bundle, engine: Engine, devices: int) -> None:
        manifest = bundle.manifest
        if devices < 1:
            raise ValueError(f"{devices} devices, expected at least 1")
        self.engine_name, self.engine_version = engine.name, engine.version
        self._window, self._hop = manifest.window, manifest.hop
        self._infer = infer_many(engine, manifest)
        self._windows = windows_of(manifest, devices)
        self._decisions = [decisions_of(bundle, QUICKEST) for _ in range(devices)]
        self._answerings = tuple(Answering(head) for head in manifest.heads[1:])
        self._heads = len(manifest.heads)
        self._shape = (devices, len(manifest.channels))
        self._samples = np.zeros(devices, np.int64)
        self.state_bytes = self._windows.state_bytes + self._samples.itemsize
        self._seen = 0  # by the devices that have not ended
        self._next = 0  # first sample of the next window

    def push(self, samples: F32, lengths: Sequence[int]) -> list[DecisionBatch | None]:
        """Take ``[D, T, C]``."""
        counts = np.asarray(lengths, np.int64)
        if samples.ndim != 3 or samples.shape[::2] != self._shape or counts.shape != (len(samples),):
            raise ValueError(
                f"samples have shape {samples.shape} and lengths {counts.shape}, expected [D, T, C] and [D] with "
                f"{self._shape[0]} devices and {self._shape[1]} channels"
            )
        steps = samples.shape[1]
        ended = self._samples < self._seen
        if (counts < 0).any() or (counts > steps).any() or counts[ended].any():
            raise ValueError(f"lengths {lengths}: expected 0 to {steps}, and 0 for a device that got less before")
        if steps == 0:
            return [None] * len(samples)
        self._samples += counts
        self._seen += steps
        starts = np.arange(self._next, self._seen - self._window + 1, self._hop, dtype=np.int64)
        self._next += len(starts) * self._hop
        complete = starts[None, :] + self._window <= self._samples[:, None]
        tensors = self._windows.push(samples, counts, complete)
        if not complete.any():
            return [None] * len(samples)
        return list(self._decided(starts, complete.sum(axis=1).tolist(), self._infer(*tensors)))

    def _decided(
        self, starts: NDArray[np.int64], counts: Sequence[int], outputs: Sequence[NDArray[Any]]
    ) -> Iterator[DecisionBatch | None]:
        """The outputs of all windows, device after device, through each device's own decision stage."""
        embeddings = outputs[self._heads] if len(outputs) > self._heads else None
        probabilities = self._decisions[0].probabilities(outputs[0], embeddings)
        others = [answering(logits) for answering, logits in zip(self._answerings, outputs[1:], strict=False)]
        at = 0
        for decisions, count in zip(self._decisions, counts, strict=True):
            if count == 0:
                yield None
                continue
            part = slice(at, at + count)
            own = None if embeddings is None else embeddings[part]
            batch = decisions.decide(starts[:count], outputs[0][part], probabilities[part], own)
            yield replace(batch, others=tuple(each.rows(part) for each in others)) if others else batch
            at += count

    def finish(self) -> list[Event | None]:
        """Return the open events."""
        samples = self._samples.tolist()
        return [each.finish(count) for each, count in zip(self._decisions, samples, strict=True)]

    def invalid_samples(self) -> list[int]:
        """Return the counts."""
        counts: list[int] = self._windows.invalid.tolist()
        return counts
