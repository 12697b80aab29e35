"""Front end and windows of many devices as arrays ``[D, ...]``, their windows through one interpreter."""

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
from device_sim.feeds import summed_up
from device_sim.results import Event
from edgehar.bundle import Bundle, ModelInput

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
        self._front_end = manifest.front_end.stream()
        self._inputs = tuple(_Input(each, manifest.window, devices) for each in manifest.inputs)
        self._decisions = [decisions_of(bundle) for _ in range(devices)]
        self._answerings = tuple(Answering(head) for head in manifest.heads[1:])
        self._heads = len(manifest.heads)
        self._good = np.zeros((devices, len(manifest.channels)), np.float32)
        self._invalid = np.zeros(devices, np.int64)
        self._samples = np.zeros(devices, np.int64)
        rows = sum((manifest.window - 1) * each.row_bytes for each in self._inputs)
        kept = (self._good, self._invalid, self._samples)
        self.state_bytes = rows + sum(array.nbytes for array in kept) // devices
        self._seen = 0  # by the devices that have not ended
        self._next = 0  # first sample of the next window

    def push(self, samples: F32, lengths: Sequence[int]) -> list[DecisionBatch | None]:
        """Take ``[D, T, C]``."""
        counts = np.asarray(lengths, np.int64)
        if samples.ndim != 3 or samples.shape[::2] != self._good.shape or counts.shape != (len(samples),):
            raise ValueError(
                f"samples have shape {samples.shape} and lengths {counts.shape}, expected [D, T, C] and [D] with "
                f"{len(self._good)} devices and {self._good.shape[1]} channels"
            )
        steps = samples.shape[1]
        ended = self._samples < self._seen
        if (counts < 0).any() or (counts > steps).any() or counts[ended].any():
            raise ValueError(f"lengths {lengths}: expected 0 to {steps}, and 0 for a device that got less before")
        if steps == 0:
            return [None] * len(samples)
        columns = self._front_end.push(self._repaired(samples, counts))
        self._samples += counts
        self._seen += steps
        starts = np.arange(self._next, self._seen - self._window + 1, self._hop, dtype=np.int64)
        self._next += len(starts) * self._hop
        complete = starts[None, :] + self._window <= self._samples[:, None]
        tensors = [each.push(columns, complete, self._hop) for each in self._inputs]
        if not complete.any():
            return [None] * len(samples)
        return list(self._decided(starts, complete.sum(axis=1).tolist(), self._infer(*tensors)))

    def _repaired(self, samples: F32, counts: NDArray[np.int64]) -> F32:
        """Hold each channel's last good value where there is none, and put 0 after the end of a stream."""
        steps = samples.shape[1]
        past = np.arange(steps)[None, :] >= counts[:, None]
        if past.any():
            samples = np.where(past[:, :, None], np.float32(0), samples)
        finite = np.isfinite(samples)
        if not finite.all():
            self._invalid += (~finite.all(axis=2)).sum(axis=1)
            held = np.concatenate([self._good[:, None], samples], axis=1)
            row = np.where(finite, np.arange(1, steps + 1)[None, :, None], 0)
            np.maximum.accumulate(row, axis=1, out=row)
            samples = np.take_along_axis(held, row, axis=1)
        self._good = samples[:, -1].copy()
        return samples

    def _decided(
        self, starts: NDArray[np.int64], counts: Sequence[int], outputs: Sequence[NDArray[Any]]
    ) -> Iterator[DecisionBatch | None]:
        """The outputs of all windows, device after device, through each device's own decision stage."""
        others = [answering(logits) for answering, logits in zip(self._answerings, outputs[1:], strict=False)]
        at = 0
        for decisions, count in zip(self._decisions, counts, strict=True):
            if count == 0:
                yield None
                continue
            part = slice(at, at + count)
            embeddings = outputs[self._heads][part] if len(outputs) > self._heads else None
            batch = decisions.update(starts[:count], outputs[0][part], embeddings)
            yield replace(batch, others=tuple(each.rows(part) for each in others)) if others else batch
            at += count

    def finish(self) -> list[Event | None]:
        """Return the open events."""
        samples = self._samples.tolist()
        return [each.finish(count) for each, count in zip(self._decisions, samples, strict=True)]

    def invalid_samples(self) -> list[int]:
        """Return the counts."""
        counts: list[int] = self._invalid.tolist()
        return counts


class _Input:
    """The rows that one input of the network still needs, of all devices: those from the next window's first on."""

    def __init__(self, source: ModelInput, window: int, devices: int) -> None:
        self._source, self._window = source, window
        self._early = source.features is None  # quantized as they come; features are made of float32
        self._tail: NDArray[Any] = np.empty(
            (devices, 0, len(source.columns)), source.quant.dtype if self._early else np.float32
        )
        self.row_bytes = len(source.columns) * self._tail.itemsize
        self._skip = 0  # rows to come before the next window's first

    def push(self, columns: F32, complete: NDArray[np.bool_], hop: int) -> NDArray[Any]:
        """Take columns ``[D, T, F]``; returns tensors of the windows for which ``complete`` ``[D, N]`` is true."""
        source = self._source
        rows = source.pick(columns[:, self._skip :])
        self._skip -= columns.shape[1] - rows.shape[1]
        joined = np.concatenate([self._tail, source.quant.quantize(rows) if self._early else rows], axis=1)
        done = complete.shape[1] * hop
        self._tail = joined[:, done:].copy()
        self._skip += max(0, done - joined.shape[1])
        return self._tensors(joined, complete, hop)

    def _tensors(self, rows: NDArray[Any], complete: NDArray[np.bool_], hop: int) -> NDArray[Any]:
        source, window = self._source, self._window
        if not complete.any():
            return np.empty((0, *source.shape(window)), source.quant.dtype)
        windows = np.lib.stride_tricks.sliding_window_view(rows, window, axis=1)[:, ::hop]
        chosen = np.ascontiguousarray(windows[complete].swapaxes(-1, -2))
        return chosen if source.features is None else source.quant.quantize(summed_up(source.features, chosen))
