"""When samples come: as fast as the host can take them, or every period of the sensor on the wall clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions import DecisionBatch
from device_sim.device import TIMED_EVERY, Device, as_batch


class Clock(Protocol):
    """Paces the samples of one recording.

    Attributes:
        name: for the summary.
        deadline_stage: the telemetry stage that is held against the sample period.
        timed_every: of so many decisions one is timed as a push of its own.
    """

    name: str
    deadline_stage: str
    timed_every: int

    def replay(self, device: Device, samples: NDArray[np.float32]) -> Iterator[DecisionBatch]:
        """Give ``samples`` ``[T, C]`` to the device and pass on its decisions."""
        ...


class SimulatedClock:
    """Samples are there as soon as the device asks: time is the sample's number over the rate."""

    name = "simulated"
    deadline_stage = "total"
    timed_every = TIMED_EVERY

    def replay(self, device: Device, samples: NDArray[np.float32]) -> Iterator[DecisionBatch]:
        """Run as fast as the host can."""
        return device.batches(samples)


class RealTimeClock:
    """Sample k is due at ``start + k / rate_hz``, an absolute deadline, so lateness never adds up to drift.

    A device that is busy when a sample is due gets it late and its latency counts from when it was due; a clock that
    waited a period *after each push* would hide exactly the slow pushes (coordinated omission, G. Tene). How late the
    host itself woke is kept apart, as ``wake_up``: it is this computer's jitter, not the device's.

    Args:
        rate_hz: samples a second.
        now_ns: monotonic time.
        sleep: waits that many seconds, or a little longer.
    """

    name = "realtime"
    deadline_stage = "response"
    timed_every = 1

    def __init__(
        self,
        rate_hz: float,
        now_ns: Callable[[], int] = time.perf_counter_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate_hz = rate_hz
        self._now_ns = now_ns
        self._sleep = sleep

    def replay(self, device: Device, samples: NDArray[np.float32]) -> Iterator[DecisionBatch]:
        """Push one sample a period; sample 0 is due now. Latencies go to the device's telemetry."""
        start = self._now_ns()
        for k in range(len(samples)):
            due = start + round(k * 1e9 / self.rate_hz)
            late = self._wait_until(due)
            decision = device.push(samples[k])
            if device.telemetry is not None:
                device.telemetry.record_push("response", self._now_ns() - due)
                if late is not None:
                    device.telemetry.stages["wake_up"].record(late)
            if decision is not None:
                yield as_batch(decision)

    def _wait_until(self, due_ns: int) -> int | None:
        """Sleep; returns how late it woke, None when the moment had passed already and nothing was slept."""
        if self._now_ns() >= due_ns:
            return None
        while (left := due_ns - self._now_ns()) > 0:
            self._sleep(left / 1e9)
        return -left
