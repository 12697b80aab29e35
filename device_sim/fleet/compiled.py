"""Many contexts of one bundle's firmware, as compiled here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions import DecisionBatch, HeadAnswers
from device_sim.engines.c_native import CNativeEngine
from device_sim.results import Event
from edgehar.bundle import Bundle
from edgehar.c_pipeline import EVENT_ACTIVITY, Replayed
from edgehar.manifest import Head

F32 = NDArray[np.float32]


class CompiledFleet:
    """See :class:`device_sim.fleet.fleet.Fleet`. Every sample goes through ``har_push`` of its device's context."""

    def __init__(self, bundle: Bundle, engine: CNativeEngine, devices: int) -> None:
        manifest = bundle.manifest
        if devices < 1:
            raise ValueError(f"{devices} devices, expected at least 1")
        self.engine_name, self.engine_version = engine.name, engine.version
        self._heads, self._rate_hz = manifest.heads, manifest.rate_hz
        self._contexts = [engine.pipeline.context(manifest.heads) for _ in range(devices)]
        self._open: list[Event | None] = [None] * devices  # announced and not ended; the end is not known yet
        self._width = len(manifest.channels)
        self._seen = 0
        self.state_bytes = self._contexts[0].memory.nbytes

    def push(self, samples: F32, lengths: Sequence[int]) -> list[DecisionBatch | None]:
        """Take ``[D, T, C]``."""
        devices, steps = len(self._contexts), samples.shape[1]
        if samples.shape != (devices, steps, self._width) or len(lengths) != devices:
            raise ValueError(
                f"samples have shape {samples.shape} and lengths {len(lengths)}, expected [D, T, C] and D with "
                f"{devices} devices and {self._width} channels"
            )
        for context, length in zip(self._contexts, lengths, strict=True):
            if not 0 <= length <= steps or (length and context.samples < self._seen):
                raise ValueError(f"lengths {lengths}: expected 0 to {steps}, and 0 for a device that got less before")
        self._seen += steps
        return [self._one(device, samples[device, :length]) for device, length in enumerate(lengths)]

    def _one(self, device: int, samples: F32) -> DecisionBatch | None:
        replayed = self._contexts[device].replay(samples)
        if len(replayed.decisions) == 0:
            return None
        heads = [_answers(head, replayed.decisions[f"head_{i}"]) for i, head in enumerate(self._heads)]
        return DecisionBatch(
            replayed.decisions["start"].astype(np.int64),
            heads[0].outputs,
            heads[0].probabilities,
            heads[0].answers[:, 0],
            *self._events(device, replayed),
            tuple(heads[1:]),
        )

    def _events(self, device: int, replayed: Replayed) -> tuple[tuple[tuple[int, Event], ...], tuple[int, ...]]:
        """Events that ended, with the decisions that ended them; and the decisions that announced one."""
        ended = []
        at = np.flatnonzero(replayed.events["kind"] == EVENT_ACTIVITY).tolist()
        for i in at:
            announced = replayed.events[i]
            start_s = int(announced["start"]) / self._rate_hz
            before = self._open[device]
            if before is not None:
                ended.append((i, Event(before.label, before.start_s, start_s)))
            self._open[device] = Event(int(announced["label"]), start_s, start_s)
        return tuple(ended), tuple(at)

    def finish(self) -> list[Event | None]:
        """Return the open events."""
        return [
            None if event is None else Event(event.label, event.start_s, context.samples / self._rate_hz)
            for event, context in zip(self._open, self._contexts, strict=True)
        ]

    def invalid_samples(self) -> list[int]:
        """Return the counts."""
        return [context.invalid_samples for context in self._contexts]


def _answers(head: Head, said: NDArray[Any]) -> HeadAnswers:
    count = len(said)
    answers = said["label"][:, None] if head.kind == "multiclass" else said["answers"].reshape(count, -1)
    shape = (count, len(head.labels))
    return HeadAnswers(said["logits"].reshape(shape), said["probability"].reshape(shape), answers.astype(np.int16))
