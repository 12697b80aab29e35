"""The firmware's pipeline beside the device in Python: the same samples into both, compared decision by decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions import DecisionBatch
from device_sim.device import Device
from device_sim.engines.c_native import open_c_native
from device_sim.engines.protocol import Engine
from device_sim.faults import FaultSpec, disturb, undisturbed
from device_sim.results import Event
from device_sim.sources import on_device
from edgehar.bundle import Bundle
from edgehar.c_pipeline import EVENT_ACTIVITY, CPipeline, Replayed
from edgehar.recording import Recording

BLOCK_SAMPLES = 1 << 16  # at once; the windows of both sides are kept for that long


class Twins:
    """Device and firmware of one bundle, fed with the same stream.

    Args:
        bundle: what both run.
        engine: the device's; one that gives the reference's bits (``litert_ref``; ``tflm`` for LSTMs).
        pipeline: the bundle's firmware, compiled.

    Attributes:
        context: of the firmware.
        samples, decisions, events: how many there were.
        differences: what was found to differ, in words, the first of each block; empty as long as all bits are equal.
    """

    def __init__(self, bundle: Bundle, engine: Engine, pipeline: CPipeline) -> None:
        self._manifest = bundle.manifest
        self._watched = _Watched(engine, pipeline)
        self._device = Device(bundle, self._watched)
        self.context = pipeline.context(bundle.manifest.heads)
        self._known = len(bundle.manifest.announced.labels)
        # the labels of what is rejected come after those that the firmware may be taught
        self._room = max(0, pipeline.sizes["labels"] - self._known)
        self._open: Event | None = None  # announced by the firmware and not ended; its end is not known yet
        self.samples = self.decisions = self.events = 0
        self.differences: list[str] = []

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take samples ``[T, C]``."""
        for begin in range(0, len(samples), BLOCK_SAMPLES):
            block = samples[begin : begin + BLOCK_SAMPLES]
            self._watched.windows.clear()
            batches = list(self._device.batches(block))
            replayed = self.context.replay(block, windows=True)
            self._compare(batches, replayed)
            self.samples += len(block)

    def finish(self) -> None:
        """The stream ends: compare the event still open and the count of invalid samples; start anew."""
        expected = self._device.finish()
        rate_hz = self._manifest.rate_hz
        found = None if self._open is None else Event(self._open.label, self._open.start_s, self.samples / rate_hz)
        self._note("open event", found == expected)
        self._note("activity", self._label(self.context.activity) == (-1 if expected is None else expected.label))
        self._note("invalid samples", self.context.invalid_samples == self._device.invalid_samples)
        self._device.reset()
        self.context.reset()
        self._open = None
        self.samples = 0

    def _compare(self, batches: list[DecisionBatch], replayed: Replayed) -> None:
        decisions = replayed.decisions
        if not self._note("number of decisions", sum(len(b.starts) for b in batches) == len(decisions)):
            return
        if not batches:
            return
        self.decisions += len(decisions)
        windows = np.stack(self._watched.windows)
        self._note("int8 windows", replayed.windows is not None and np.array_equal(replayed.windows, windows))
        self._note("window starts", np.array_equal(decisions["start"], np.concatenate([b.starts for b in batches])))
        last_samples = decisions["start"] + np.uint64(self._manifest.window - 1)
        self._note("times", np.array_equal(decisions["t_ms"], last_samples.astype(np.uint32)))
        for index, head in enumerate(self._manifest.heads):
            found = decisions[f"head_{index}"]
            answers = "label" if head.kind == "multiclass" else "answers"
            for name, expected in zip(("logits", "probability", answers), self._said(batches, index), strict=True):
                self._note(f"{name} of head {head.name!r}", _same_bits(found[name], expected))
        if self._manifest.embedding is not None:
            embeddings = np.concatenate([b.embeddings for b in batches if b.embeddings is not None])
            self._note("embeddings", np.array_equal(decisions["embedding"], embeddings))
        self._compare_events(batches, replayed)

    def _compare_events(self, batches: list[DecisionBatch], replayed: Replayed) -> None:
        expected = [event for batch in batches for _, event in batch.ended]
        found = []
        for announced in replayed.events[replayed.events["kind"] == EVENT_ACTIVITY]:
            ended = self._ended(announced)
            if ended is not None:
                found.append(ended)
            start_s = int(announced["start"]) / self._manifest.rate_hz
            self._open = Event(self._label(int(announced["label"])), start_s, start_s)
        self.events += len(found)
        self._note("events", found == expected)

    def _said(self, batches: list[DecisionBatch], head: int) -> Iterator[NDArray[np.generic]]:
        """Logits, probabilities and answers of one head in all batches, as the firmware should have them."""
        if head == 0:
            labels = np.concatenate([batch.labels for batch in batches])
            yield np.concatenate([batch.outputs for batch in batches])
            yield np.concatenate([batch.probabilities for batch in batches])
            yield np.where(labels < self._known, labels, labels + np.int16(self._room))
        else:
            yield np.concatenate([batch.others[head - 1].outputs for batch in batches])
            yield np.concatenate([batch.others[head - 1].probabilities for batch in batches])
            yield np.concatenate([batch.others[head - 1].answers for batch in batches])

    def _ended(self, announced: NDArray[np.void]) -> Event | None:
        """The event that an announcement ends; None for the first."""
        if announced["ended"] < 0:
            return None
        rate_hz = self._manifest.rate_hz
        start_s, end_s = int(announced["ended_start"]) / rate_hz, int(announced["start"]) / rate_hz
        return Event(self._label(int(announced["ended"])), start_s, end_s)

    def _label(self, label: int) -> int:
        """The simulator's index of a label of the firmware."""
        return label if label < self._known else label - self._room

    def _note(self, what: str, same: bool) -> bool:
        if not same:
            self.differences.append(f"{what} differ in the samples from {self.samples} on")
        return same


def firmware_beside_device(
    bundle: Bundle, recordings: Sequence[Recording], faults: Sequence[FaultSpec] = (), seed: int = 0
) -> Twins:
    """Return device and firmware of a bundle after they have seen these recordings, each from a reset.

    The device's network is the firmware's own, compiled here, so what is compared is all around it; that the network
    gives the golden logits is for :mod:`device_sim.golden`.

    Raises:
        MissingExtraError, EngineError: see :func:`device_sim.engines.c_native.open_c_native`.
        DataError: a recording does not fit the bundle.
    """
    engine = open_c_native(bundle)
    twins = Twins(bundle, engine, engine.pipeline)
    for recording in recordings:
        fitted = on_device(recording, bundle.manifest)
        for piece in (disturb(fitted, faults, seed) if faults else undisturbed(fitted)).pieces:
            twins.push(piece.samples)
            twins.finish()
    return twins


class _Watched:
    """An engine that keeps what the firmware holds of what it is given."""

    def __init__(self, engine: Engine, pipeline: CPipeline) -> None:
        self._engine, self._pipeline = engine, pipeline
        self.name, self.version = engine.name, engine.version
        self.reset, self.memory_bytes = engine.reset, engine.memory_bytes
        self.windows: list[NDArray[np.int8]] = []

    def infer(self, *inputs: NDArray[np.int8]) -> tuple[NDArray[np.int8], ...]:
        self.windows.append(self._pipeline.held([array[None] for array in inputs])[0])
        return self._engine.infer(*inputs)


def _same_bits(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Whether members ``[N, ...]`` of structs are these numbers; what the firmware has room for besides must be 0."""
    flat, wanted = found.reshape(len(found), -1), expected.reshape(len(found), -1)
    width = wanted.shape[1]
    return flat[:, :width].tobytes() == wanted.astype(flat.dtype).tobytes() and not flat[:, width:].any()
