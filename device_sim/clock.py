"""When samples come: as fast as the host can take them, or every period of the sensor on the wall clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from device_sim.telemetry import Telemetry


class Clock(Protocol):
    """Paces the samples of one recording."""

    name: str

    def start(self) -> None:
        """Sample 0 is due now."""
        ...

    def wait(self, sample: int) -> int | None:
        """Return when ``sample`` was due (ns of the clock's own time), after waiting for it; None: at once."""
        ...


class SimulatedClock:
    """Samples are there when the device asks: time is the sample's number over the rate."""

    name = "simulated"

    def start(self) -> None:
        """Nothing to do."""

    def wait(self, sample: int) -> None:
        """Return at once."""


class RealTimeClock:
    """Sample k is due at ``start + k / rate_hz``, an absolute deadline, so lateness never adds up to drift.

    A device that is busy when a sample is due gets it late and its latency counts from when it was due; a clock that
    waited a period *after each push* would hide exactly the slow pushes (coordinated omission, G. Tene). How late the
    host itself woke is kept apart, as ``wake_up``: it is this computer's jitter, not the device's.

    Args:
        rate_hz: samples a second.
        telemetry: gets ``wake_up``; None keeps nothing.
        now_ns: monotonic time.
        sleep: waits that many seconds, or a little longer.
    """

    name = "realtime"

    def __init__(
        self,
        rate_hz: float,
        telemetry: Telemetry | None = None,
        now_ns: Callable[[], int] = time.perf_counter_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate_hz = rate_hz
        self.now_ns = now_ns
        self._sleep = sleep
        self._wake_up = None if telemetry is None else telemetry.stages["wake_up"]
        self._start_ns = 0

    def start(self) -> None:
        """Sample 0 is due now."""
        self._start_ns = self.now_ns()

    def wait(self, sample: int) -> int:
        """Sleep until ``sample`` is due; returns that moment. Returns at once when it has passed."""
        due = self._start_ns + round(sample * 1e9 / self.rate_hz)
        slept = False
        while (left := due - self.now_ns()) > 0:
            self._sleep(left / 1e9)
            slept = True
        if slept and self._wake_up is not None:
            self._wake_up.record(self.now_ns() - due)
        return due
