"""A thread that takes samples from a source, and a bounded queue in which they wait for the device."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import NamedTuple

from device_sim.live.sources import Source
from device_sim.live.transports import PATIENCE_S
from device_sim.stamped import Stamped
from device_sim.telemetry import clock_ns

QUEUE_SECONDS = 10.0


class Arrival(NamedTuple):
    """Samples, and when the last of them was here (``clock_ns``)."""

    chunk: Stamped
    arrived_ns: int


class Pump:
    """Reads ahead of the device, by a bounded number of samples.

    When the queue is full, a source that can wait is not read until there is room (its pipe or socket fills up, and
    the sender stalls); of one that cannot, the newest samples are dropped, and counted.

    Args:
        source: read from a thread of its own, once iterated.
        capacity: samples that may wait.

    Attributes:
        dropped: samples for which there was no room.
        stalls: times that the source had to wait.
    """

    def __init__(self, source: Source, capacity: int) -> None:
        self._source = source
        self._capacity = capacity
        self._queue: queue.SimpleQueue[Arrival | BaseException | None] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._waiting = 0
        self._stopped = False
        self.dropped = 0
        self.stalls = 0

    @property
    def waiting(self) -> int:
        """Samples that wait for the device."""
        return self._waiting

    def stop(self) -> None:
        """Ask the thread to end; it does so within ``PATIENCE_S`` or at the source's next block."""
        with self._room:
            self._stopped = True
            self._room.notify_all()

    def arrivals(self) -> Iterator[Arrival | None]:
        """Yield samples as they come, None every ``PATIENCE_S`` in which none came; ends with the source.

        Raises:
            EdgeharError: what the source raised.
        """
        thread = threading.Thread(target=self._read, name=f"reader of {self._source.name}", daemon=True)
        thread.start()
        try:
            while True:
                try:
                    arrival = self._queue.get(timeout=PATIENCE_S)
                except queue.Empty:
                    yield None
                    continue
                if arrival is None:
                    return
                if isinstance(arrival, BaseException):
                    raise arrival
                with self._room:
                    self._waiting -= len(arrival.chunk)
                    self._room.notify_all()
                yield arrival
        finally:
            self.stop()
            thread.join(10 * PATIENCE_S)

    def _read(self) -> None:
        end: BaseException | None = None
        try:
            for chunk in self._source.chunks():
                if self._stopped:
                    break
                if len(chunk):
                    self._put(Arrival(chunk, clock_ns()))
        except BaseException as error:  # it is raised where the samples are used
            end = error
        self._queue.put(end)

    def _put(self, arrival: Arrival) -> None:
        count = len(arrival.chunk)
        with self._room:
            if self._waiting and self._waiting + count > self._capacity:
                if not self._source.waits:
                    self.dropped += count
                    return
                self.stalls += 1
                self._room.wait_for(
                    lambda: not self._waiting or self._waiting + count <= self._capacity or self._stopped
                )
            self._waiting += count
        self._queue.put(arrival)
