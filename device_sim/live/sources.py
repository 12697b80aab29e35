"""Where stamped samples come from: lines over a transport, or a recording played at its own pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from device_sim.live.lines import LineReader
from device_sim.live.transports import PATIENCE_S, open_transport
from device_sim.sources import on_device
from device_sim.stamped import Stamped
from edgehar.manifest import Manifest
from edgehar.recording import Recording


@dataclass(frozen=True)
class Source:
    """Samples as they arrive.

    Attributes:
        name: for people.
        chunks: yields them; an empty chunk at least every ``PATIENCE_S`` while nothing comes.
        waits: the far end can be made to wait; otherwise what comes while the device is behind is lost.
        lines: what became of lines of text; None where there are none.
        stamped: samples carry the time of the sensor's clock; otherwise they are at the bundle's rate.
    """

    name: str
    chunks: Callable[[], Iterator[Stamped]]
    waits: bool
    lines: LineReader | None = None

    @property
    def stamped(self) -> bool:
        """Whether samples carry their time."""
        return self.lines is not None and self.lines.stamped


def line_source(spec: str, manifest: Manifest, columns: Sequence[str] = ()) -> Source:
    """Return the source of lines that ``spec`` names.

    Args:
        spec: see :func:`device_sim.live.transports.open_transport`.
        manifest: channels and rate of the device.
        columns: see :class:`device_sim.live.lines.LineReader`.

    Raises:
        UsageError: ``spec`` is malformed.
        DataError: ``columns`` lack a channel.
    """
    transport = open_transport(spec)
    names = [channel.name for channel in manifest.channels]
    lines = LineReader(names, manifest.rate_hz, columns, datagrams=transport.datagrams)

    def chunks() -> Iterator[Stamped]:
        for block in transport.blocks():
            yield lines.feed(block)
        yield lines.feed(b"\n")  # a last line without its newline

    return Source(transport.name, chunks, transport.waits, lines)


def played(recording: Recording, manifest: Manifest, speed: float = 1.0) -> Source:
    """Return a recording as if it were measured now, ``speed`` times as fast as it was.

    Raises:
        DataError: it does not fit the bundle.
    """
    fitted = on_device(recording, manifest)
    pace_hz = fitted.rate_hz * speed

    def chunks() -> Iterator[Stamped]:
        """Sample k is due at ``k / pace_hz``: lateness does not add up."""
        begin, given, total = time.perf_counter(), 0, len(fitted.samples)
        while given < total:
            due = min(total, int((time.perf_counter() - begin) * pace_hz) + 1)
            stamps = np.rint(np.arange(given, due) * (1e6 / fitted.rate_hz)).astype(np.int64)
            yield Stamped(stamps, fitted.samples[given:due])
            given = due
            time.sleep(min(PATIENCE_S, max(0.0, begin + given / pace_hz - time.perf_counter())))

    return Source(recording.name, chunks, waits=True)
