"""The simulated device: sample in, decision out. Front end, ring buffers, engine and decision stage as on a board.

Raw samples wait in a FIFO until they complete a window, as in an IMU whose FIFO interrupt is set to the hop; then
the front end runs over them once. That changes no bit, since the front end is chunk independent by contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions import Answering, DecisionBatch, Decisions, HeadAnswers
from device_sim.decisions.stage import SMOOTHINGS, MakeSmoothing
from device_sim.engines.protocol import Engine
from device_sim.feeds import feed_of
from device_sim.prototypes import Prototypes
from device_sim.results import Event
from device_sim.telemetry import Telemetry, clock_ns
from edgehar.bundle import Bundle
from edgehar.references import read_references

F32 = NDArray[np.float32]

BLOCK_ROWS = 4096  # samples that run() puts through the front end at once: 150 kB of features, inside the L2 cache
# run() makes some decisions exactly as push() does and times their stages: the first ones, so that a short stream has
# percentiles too, then one in so many, so that timing costs little
TIMED_FIRST = 32
TIMED_EVERY = 128


class Decision(NamedTuple):
    """What the device says when a window is complete.

    Attributes:
        start: first sample of the window.
        label: index into the bundle's ``event_labels``.
        probabilities: ``[K]`` float32, after smoothing.
        outputs: ``[K]`` raw logits, in the format of their head.
        ended: the event that this decision ended by announcing the next one.
        announced: whether it announced an event.
        others: answers of the heads after the first, batches of one.
        embedding: ``[E]`` raw output, None where the network has none.
    """

    start: int
    label: int
    probabilities: NDArray[np.float32]
    outputs: NDArray[Any]
    ended: Event | None
    announced: bool = False
    others: tuple[HeadAnswers, ...] = ()
    embedding: NDArray[Any] | None = None


class Device:
    """Runs one bundle on one engine over one stream of samples.

    Windows start at samples 0, hop, 2 hop, ...; the first decision comes with sample ``window - 1``.

    Args:
        bundle: what to run.
        engine: its model, loaded.
        telemetry: gets latencies; None measures nothing.

    Attributes:
        samples: samples seen.
    """

    def __init__(self, bundle: Bundle, engine: Engine, telemetry: Telemetry | None = None) -> None:
        manifest = bundle.manifest
        self.engine = engine
        self.telemetry = telemetry
        self._window, self._hop = manifest.window, manifest.hop
        self._front_end = manifest.front_end.stream()
        self._decisions = decisions_of(bundle)
        self._answerings = tuple(Answering(head) for head in manifest.heads[1:])
        self._heads = len(manifest.heads)
        self._outputs = tuple((each.width, each.quant.dtype) for each in manifest.outputs)
        self._width = len(manifest.channels)
        fifo_rows = max(self._window, self._hop)
        self._block_windows = max(1, BLOCK_ROWS // self._hop)
        self._fifo = np.zeros((fifo_rows, self._width), np.float32)
        self._append_max = max(fifo_rows, self._block_windows * self._hop)
        self._feeds = tuple(feed_of(each, self._window, self._append_max) for each in manifest.inputs)
        self._good = np.zeros(self._width, np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the past, as after power-on. The telemetry keeps what it has."""
        self._front_end.reset()
        for feed in self._feeds:
            feed.reset()
        self.engine.reset()
        self._decisions.reset()
        self._good[:] = 0
        self._filled = 0
        self._wanted = self._window  # samples still to come, FIFO included, until the next window is complete
        self._start = 0
        self._until_timed = 0
        self.samples = 0
        self._held_samples = 0

    @property
    def invalid_samples(self) -> int:
        """Samples with a NaN or infinite value; the channel's last good value (0 before the first) stands in for it."""
        waiting = self._fifo[: self._filled]
        return self._held_samples + int((~np.isfinite(waiting)).any(axis=1).sum())

    @property
    def memory_bytes(self) -> dict[str, int]:
        """Fixed sizes of the simulator's own buffers."""
        return {"fifo_bytes": self._fifo.nbytes, "ring_buffer_bytes": sum(feed.nbytes for feed in self._feeds)}

    def push(self, sample: F32) -> Decision | None:
        """Take one sample ``[C]`` float32; returns a decision when it completes a window.

        Raises:
            ValueError: it has another shape.
            EngineError: the interpreter failed.
        """
        begin = clock_ns()
        if sample.shape != (self._width,):
            raise ValueError(f"a sample has shape {sample.shape}, expected ({self._width},)")
        self._fifo[self._filled] = sample
        self._filled += 1
        self.samples += 1
        if self._filled < self._wanted:
            if self.telemetry is not None:
                self.telemetry.stages["sample"].record(clock_ns() - begin)
            return None
        batch = self._complete_window(begin)
        return _decision_list(batch)[0]

    def run(self, samples: F32) -> list[Decision]:
        """Take samples ``[T, C]``; returns the decisions they complete: the same bits as pushing them one by one."""
        return [decision for batch in self.batches(samples) for decision in _decision_list(batch)]

    def batches(self, samples: F32) -> Iterator[DecisionBatch]:
        """Like :meth:`run`, as arrays and as they come: at most some thousand samples ahead of the last one.

        Raises:
            ValueError: the samples have another shape.
            EngineError: the interpreter failed.
        """
        if samples.ndim != 2 or samples.shape[1] != self._width:
            raise ValueError(f"samples have shape {samples.shape}, expected [T, {self._width}]")
        position = 0
        while (missing := self._wanted - self._filled) <= len(samples) - position:
            if self._filled or self._window_is_timed():
                stop = position + missing
                self._fill(samples[position : stop - 1])
                begin = clock_ns()
                self._fill(samples[stop - 1 : stop])
                yield self._complete_window(begin)
            else:
                windows = self._windows_ahead(len(samples) - position)
                stop = position + self._wanted + (windows - 1) * self._hop
                yield self._complete_block(samples[position:stop], windows)
            position = stop
        self._fill(samples[position:])

    def finish(self) -> Event | None:
        """Return the event still open, ended by the end of the stream; a part of a window is dropped."""
        return self._decisions.finish(self.samples)

    def _window_is_timed(self) -> bool:
        return self.telemetry is not None and self._until_timed == 0

    def _windows_ahead(self, available: int) -> int:
        """How many windows the next block completes: bounded by samples, by memory and by the next timed one."""
        windows = min(1 + (available - self._wanted) // self._hop, self._block_windows)
        if self._wanted + (windows - 1) * self._hop > self._append_max:
            windows = 1
        return windows if self.telemetry is None else min(windows, self._until_timed)

    def _fill(self, samples: F32) -> None:
        count = len(samples)
        self._fifo[self._filled : self._filled + count] = samples
        self._filled += count
        self.samples += count

    def _features(self, raw: F32) -> None:
        """Front end over ``raw``, and into the rings."""
        finite = np.isfinite(raw)
        if not finite.all():
            raw = self._held(raw, finite)
        self._good[:] = raw[-1]
        columns = self._front_end.push(raw)
        for feed in self._feeds:
            feed.append(columns)

    def _tensors(self, windows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """The network's inputs for the newest windows, oldest first."""
        return zip(*(feed.views(windows, self._hop) for feed in self._feeds), strict=True)

    def _held(self, raw: F32, finite: NDArray[np.bool_]) -> F32:
        self._held_samples += int((~finite.all(axis=1)).sum())
        held = np.vstack([self._good, raw])
        row = np.where(finite, np.arange(1, len(held))[:, None], 0)
        np.maximum.accumulate(row, axis=0, out=row)
        filled: F32 = np.take_along_axis(held, row, axis=0)
        return filled

    def _complete_window(self, begin_ns: int) -> DecisionBatch:
        """The FIFO completes one window: front end, engine, decision, each timed."""
        t0 = clock_ns()
        self._features(self._fifo[: self._filled])
        (inputs,) = self._tensors(1)
        t1 = clock_ns()
        outputs = self.engine.infer(*inputs)
        t2 = clock_ns()
        batch = self._decided(np.array([self._start], np.int64), [each[None] for each in outputs])
        t3 = clock_ns()
        self._advance(1)
        self._filled = 0
        if self.telemetry is not None:
            stages = self.telemetry.stages
            stages["front_end"].record(t1 - t0)
            stages["engine"].record(t2 - t1)
            stages["decision"].record(t3 - t2)
            self.telemetry.record_push("total", clock_ns() - begin_ns)
            self._until_timed = 0 if self.telemetry.decisions < TIMED_FIRST else TIMED_EVERY - 1
        return batch

    def _complete_block(self, raw: F32, windows: int) -> DecisionBatch:
        """``raw`` completes several windows: one front end pass over all; only the engine is timed."""
        self.samples += len(raw)
        self._features(raw)
        outputs = [np.empty((windows, count), dtype) for count, dtype in self._outputs]
        infer = self.engine.infer
        tensors = self._tensors(windows)
        stamps = [clock_ns()]
        for i, inputs in enumerate(tensors):
            said = infer(*inputs)
            for index, rows in enumerate(outputs):
                rows[i] = said[index]
            stamps.append(clock_ns())
        if self.telemetry is not None:
            record = self.telemetry.stages["engine"].record
            for earlier, later in pairwise(stamps):
                record(later - earlier)
            self._until_timed -= windows
        starts = self._start + np.arange(windows, dtype=np.int64) * self._hop
        batch = self._decided(starts, outputs)
        self._advance(windows)
        return batch

    def _decided(self, starts: NDArray[np.int64], outputs: Sequence[NDArray[Any]]) -> DecisionBatch:
        """The decision stage of every head: the first keeps a past and makes events, the others answer each window."""
        logits, rest = outputs[: self._heads], outputs[self._heads :]
        batch = self._decisions.update(starts, logits[0], rest[0] if rest else None)
        if not self._answerings:
            return batch
        others = zip(self._answerings, logits[1:], strict=True)
        return replace(batch, others=tuple(answering(logits) for answering, logits in others))

    def _advance(self, windows: int) -> None:
        self._start += windows * self._hop
        self._wanted = self._hop


def decisions_of(bundle: Bundle, smoothings: Mapping[str, MakeSmoothing] = SMOOTHINGS) -> Decisions:
    """Return the decision stage of a bundle's first head, without a past."""
    manifest = bundle.manifest
    prototypes = Prototypes(manifest.enrolled, read_references(bundle).embeddings) if manifest.enrolled else None
    timing = (manifest.window, manifest.hop, manifest.rate_hz)
    return Decisions(manifest.heads[0], manifest.decision, *timing, prototypes=prototypes, smoothings=smoothings)


def _decision_list(batch: DecisionBatch) -> list[Decision]:
    ended: list[Event | None] = [None] * len(batch.starts)
    for i, event in batch.ended:
        ended[i] = event
    others = [tuple(head.row(i) for head in batch.others) for i in range(len(ended))]
    embeddings = [None] * len(ended) if batch.embeddings is None else batch.embeddings
    announced = [i in batch.announced for i in range(len(ended))]
    says = (batch.probabilities, batch.outputs, ended, announced, others, embeddings)
    columns = (batch.starts.tolist(), batch.labels.tolist(), *says)
    return list(map(Decision._make, zip(*columns, strict=True)))


def as_batch(decision: Decision) -> DecisionBatch:
    """Return one decision as a batch of one."""
    return DecisionBatch(
        np.array([decision.start], np.int64),
        decision.outputs[None],
        decision.probabilities[None],
        np.array([decision.label], np.int16),
        () if decision.ended is None else ((0, decision.ended),),
        (0,) if decision.announced else (),
        decision.others,
        None if decision.embedding is None else decision.embedding[None],
    )
