"""A group of devices from their first sample to their last, scored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from device_sim import scores
from device_sim.decisions import DecisionBatch
from device_sim.engines.protocol import Engine
from device_sim.fleet.fleet import open_fleet
from device_sim.results import Event
from edgehar.bundle import Bundle
from edgehar.heads import Task, agreed_truth
from edgehar.manifest import Manifest
from edgehar.recording import UNLABELLED

F32 = NDArray[np.float32]
I16 = NDArray[np.int16]

BLOCK_ROWS = 1 << 14  # samples of a device in one push at most: 256 decisions of the default bundle
GROUP_ROWS = 1 << 16  # samples of all devices in one push: windows of a megabyte

COUNTS = ("samples", "invalid_samples", "decisions", "events", "windows", "right")
Chunk = tuple[F32, I16 | None]  # samples [T, C] and their labels [T], as indices into what the bundle announces


@dataclass(frozen=True)
class StreamResult:
    """What one device said to one stream, in numbers.

    Attributes:
        samples, invalid_samples: that it saw; those with a NaN or infinite value.
        decisions, events: that it made.
        windows, right: decisions about a window that has a truth; those of them that name it.
        digest: SHA-256 of every number it said: starts, logits, probabilities, labels, embeddings, events. Equal
            digests are equal bits.
        confusion: ``[L, L]`` over the bundle's ``event_labels``, truth down, decision across.
    """

    samples: int
    invalid_samples: int
    decisions: int
    events: int
    windows: int
    right: int
    digest: str
    confusion: NDArray[np.int64]


class GroupResult(NamedTuple):
    """Results in the order of the streams, and the bytes kept of each device between two pushes."""

    results: list[StreamResult]
    state_bytes: int


def run_group(bundle: Bundle, engine: Engine, streams: Sequence[Iterable[Chunk]]) -> GroupResult:
    """Stream into one device each, all at once.

    Args:
        bundle: what they run.
        engine: that they share.
        streams: chunks of any lengths, for each device; channels and labels as the bundle has them.

    Raises:
        EngineError: the interpreter failed.
    """
    manifest = bundle.manifest
    fleet = open_fleet(bundle, engine, len(streams))
    readers = [_Reader(stream) for stream in streams]
    tallies = [_Tally(manifest, manifest.announced, len(manifest.event_labels)) for _ in streams]
    rows = max(manifest.hop, min(BLOCK_ROWS, GROUP_ROWS // len(streams)) // manifest.hop * manifest.hop)
    block = np.zeros((len(streams), rows, len(manifest.channels)), np.float32)
    while any(lengths := [reader.read(into) for reader, into in zip(readers, block, strict=True)]):
        for tally, batch in zip(tallies, fleet.push(block[:, : max(lengths)], lengths), strict=True):
            if batch is not None:
                tally.add(batch)
    ends = zip(tallies, readers, fleet.finish(), fleet.invalid_samples(), strict=True)
    return GroupResult([t.result(r, last, invalid) for t, r, last, invalid in ends], fleet.state_bytes)


def together(results: Sequence[StreamResult]) -> StreamResult:
    """Return the result of a device that forgot the past between streams."""
    if len(results) == 1:
        return results[0]
    counts = {name: sum(getattr(result, name) for result in results) for name in COUNTS}
    digest = hashlib.sha256("".join(result.digest for result in results).encode()).hexdigest()
    return StreamResult(**counts, digest=digest, confusion=np.sum([result.confusion for result in results], axis=0))


class _Reader:
    """Cuts a stream of chunks anew."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks: Iterator[Chunk] = iter(chunks)
        self._left: F32 | None = None
        self.samples = 0
        self.labels: list[I16] = []

    def read(self, into: F32) -> int:
        """Fill ``into`` ``[T, C]`` from its top; returns how many there were: less than T at the end alone."""
        filled = 0
        while filled < len(into):
            if self._left is None or len(self._left) == 0:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._left, labels = chunk
                self.labels.append(np.full(len(self._left), UNLABELLED, np.int16) if labels is None else labels)
            part = self._left[: len(into) - filled]
            into[filled : filled + len(part)] = part
            self._left = self._left[len(part) :]
            filled += len(part)
        self.samples += filled
        return filled


class _Tally:
    """Collects what one device says."""

    def __init__(self, manifest: Manifest, task: Task, classes: int) -> None:
        self._manifest, self._task, self._classes = manifest, task, classes
        self._sha256 = hashlib.sha256()
        self._labels: list[I16] = []
        self._events: list[Event] = []

    def add(self, batch: DecisionBatch) -> None:
        """Take the next decisions."""
        self._labels.append(batch.labels)
        self._events += [event for _, event in batch.ended]
        said = [batch.starts, batch.outputs, batch.probabilities, batch.labels]
        for head in batch.others:
            said += [head.outputs, head.probabilities, head.answers]
        if batch.embeddings is not None:
            said.append(batch.embeddings)
        self._sha256.update(np.concatenate([_bytes(array) for array in said], axis=1).tobytes())

    def result(self, reader: _Reader, last: Event | None, invalid: int) -> StreamResult:
        """Score what was said against the labels that came with the samples."""
        events = self._events if last is None else [*self._events, last]
        for event in events:
            self._sha256.update(f"{event.label} {event.start_s!r} {event.end_s!r}\n".encode())
        manifest, delay = self._manifest, self._manifest.decision.delay
        decided = np.concatenate([np.empty(0, np.int16), *self._labels])[delay:]
        labels = np.concatenate([np.empty(0, np.int16), *reader.labels])
        truth = agreed_truth(self._task, labels[:, None], manifest.window, manifest.hop)[: len(decided), 0]
        counts = scores.confusion(truth, decided, self._classes)
        return StreamResult(
            samples=reader.samples,
            invalid_samples=invalid,
            decisions=sum(map(len, self._labels)),
            events=len(events),
            windows=int(counts.sum()),
            right=int(np.trace(counts)),
            digest=self._sha256.hexdigest(),
            confusion=counts,
        )


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes ``[N, ...]`` of an array's rows."""
    return np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
