"""A bundle on a source: every sample through resampler and device, and what there is to be shown of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.device import Decision, Device
from device_sim.engines.protocol import Engine
from device_sim.live.pump import QUEUE_SECONDS, Arrival, Pump
from device_sim.live.sources import Source
from device_sim.resampling import Resampler
from device_sim.results import Event
from device_sim.telemetry import Telemetry, clock_ns
from edgehar.bundle import Bundle

WAVE_SECONDS = 8.0
EVENTS_KEPT = 50
STAGES_SHOWN = ("front_end", "engine", "decision", "total", "response")


@dataclass(frozen=True)
class Announced:
    """An activity that ended, on the clock of the session (seconds since its first sample)."""

    label: str
    start_s: float
    end_s: float


class Session:
    """Runs until its source ends.

    Args:
        bundle: what to run.
        engine: its model, loaded.
        source: of the samples.
        queue_s: seconds of samples that may wait for the device.

    Attributes:
        samples: that the device took.
        events: activities that ended, newest last.
        current: the activity announced last and when it began; None before the first, and after a break.
        ended: the source is done.
    """

    def __init__(self, bundle: Bundle, engine: Engine, source: Source, queue_s: float = QUEUE_SECONDS) -> None:
        manifest = bundle.manifest
        self.bundle = bundle
        self.source = source
        self.engine = engine
        self.labels = manifest.event_labels
        self.rate_hz = manifest.rate_hz
        self.telemetry = Telemetry(1 / self.rate_hz, manifest.hop / self.rate_hz, "response")
        self._device = Device(bundle, engine, self.telemetry)
        self._resampler = Resampler(self.rate_hz)
        self._pump = Pump(source, max(1, round(queue_s * self.rate_hz)))
        self._wave: deque[NDArray[np.float32]] = deque(maxlen=round(WAVE_SECONDS * self.rate_hz))
        self._last: Decision | None = None
        self._begin_s = 0.0  # of what the device remembers
        self._invalid = 0
        self.samples = 0
        self.decisions = 0
        self.events: deque[Announced] = deque(maxlen=EVENTS_KEPT)
        self.announced = 0
        self.current: tuple[str, float] | None = None
        self.ended = False

    def run(self) -> Iterator[Decision | None]:
        """Yield each decision, and None now and then between them, so that a page can be drawn.

        Raises:
            EdgeharError: the source or the engine failed.
        """
        try:
            for arrival in self._pump.arrivals():
                if arrival is None:
                    yield None
                    continue
                yield from self._take(arrival)
        finally:
            self._pump.stop()
            self._close()
            self.ended = True

    def stop(self) -> None:
        """End the run soon."""
        self._pump.stop()

    def _take(self, arrival: Arrival) -> Iterator[Decision | None]:
        breaks: tuple[int, ...] = ()
        samples = arrival.chunk.samples
        if self.source.stamped:
            steady = self._resampler.push(arrival.chunk)
            samples, breaks = steady.samples, steady.breaks
        for index, sample in enumerate(samples):
            if index in breaks:
                self._break()
            decision = self._device.push(sample)
            self.samples += 1
            self._wave.append(sample)
            if decision is not None:
                self.telemetry.record_push("response", clock_ns() - arrival.arrived_ns)
                self._decided(decision)
                yield decision
        yield None

    def _decided(self, decision: Decision) -> None:
        self._last = decision
        self.decisions += 1
        self._ended(decision.ended)
        event = self._device.finish()  # the open one
        if event is not None:
            self.current = (self.labels[event.label], self._begin_s + event.start_s)

    def _ended(self, event: Event | None) -> None:
        if event is not None:
            self.announced += 1
            label = self.labels[event.label]
            self.events.append(Announced(label, self._begin_s + event.start_s, self._begin_s + event.end_s))

    def _close(self) -> None:
        self._ended(self._device.finish())

    def _break(self) -> None:
        """The stream broke off and began anew: so does the device."""
        self._close()
        self.current = None
        self._invalid += self._device.invalid_samples
        self._device.reset()
        self._begin_s = self.samples / self.rate_hz

    def counts(self) -> dict[str, int]:
        """Return what happened to samples on their way, by name."""
        lines = self.source.lines
        return {
            "samples": self.samples,
            "decisions": self.decisions,
            "events": self.announced,
            "bad_lines": lines.bad_lines if lines is not None else 0,
            "dropped_samples": self._pump.dropped,
            "source_waits": self._pump.stalls,
            "late_samples": self._resampler.late,
            "duplicate_samples": self._resampler.duplicates,
            "interpolated_samples": self._resampler.interpolated,
            "stream_breaks": self._resampler.breaks,
            "invalid_samples": self._invalid + self._device.invalid_samples,
        }

    def view(self, wave_points: int = 0) -> dict[str, Any]:
        """Return all that a page shows, as plain data for JSON.

        Args:
            wave_points: newest samples of each channel to include, at most.
        """
        stages = self.telemetry.summary_us()
        last = self._last
        newest = list(self._wave)[-wave_points:] if wave_points else []
        wave = np.nan_to_num(np.array(newest, np.float32).T, posinf=0.0, neginf=0.0)
        return {
            "bundle": self.bundle.manifest.name,
            "engine": self.engine.name,
            "source": self.source.name,
            "rate_hz": self.rate_hz,
            "time_s": self.samples / self.rate_hz,
            "ended": self.ended,
            "activity": self.current[0] if self.current else None,
            "since_s": self.current[1] if self.current else None,
            "labels": list(self.labels),
            "probabilities": [] if last is None else [round(float(p), 4) for p in last.probabilities],
            "events": [[e.label, round(e.start_s, 3), round(e.end_s, 3)] for e in list(self.events)[-8:]],
            "latency_us": {name: stages[name] for name in STAGES_SHOWN if name in stages},
            "deadline_misses": self.telemetry.deadline_misses,
            "counts": self.counts(),
            "trouble": self.source.lines.trouble if self.source.lines is not None else "",
            "channels": [channel.name for channel in self.bundle.manifest.channels],
            "wave": [[round(float(value), 4) for value in row] for row in wave],
        }
