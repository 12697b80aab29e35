"""Streams to recordings: a steady grid, straight lines between neighbours, cut where samples are missing too long.

1. Samples are put in the order of their times; one that is there twice counts once; a step back of more than
   ``BACK_S`` begins another stretch (a logger that was started again).
2. Stamps that come in bursts, as phones deliver them, say little about each sample: then the samples of a stretch
   are taken as steady at the stretch's own rate, shifted by the median of what the stamps differ from that. Elsewhere
   the first of several samples at one time counts.
3. Each channel is interpolated by itself, over its samples that are numbers, so that cells without a number, and
   sensors with times of their own, need no other rule.
4. Where samples lie further apart than ``gap_s`` there is a gap; what is between two gaps, if it is long enough, is a
   recording with a grid of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgehar.datasets.tabular.streams import Stream
from edgehar.errors import DataError
from edgehar.recording import UNLABELLED, Channel, Recording

BACK_S = 1.0
BURST_STEP = 0.2  # periods
BURST_SHARE = 0.03  # of all steps; a phone's stamps have 8 % at the same millisecond, a microcontroller's next to none
RATES_HZ = (10.0, 12.5, 20.0, 25.0, 26.0, 30.0, 32.0, 40.0, 50.0, 52.0, 60.0, 64.0, 100.0, 104.0, 128.0, 200.0)
RATE_TOLERANCE = 0.03
DEFAULT_RATE_HZ = 50.0
MAX_SAMPLES = 50_000_000  # over all recordings: eleven days at 50 Hz

F64 = NDArray[np.float64]


@dataclass
class Counts:
    """What was found on the way to the grid; totals over all streams.

    Attributes:
        out_of_order, duplicates, same_time: samples; a duplicate is alike in its values too.
        not_numbers: values.
        bursty: streams whose stamps were not taken one by one.
        gaps: places where a stream was cut.
        interpolated: share of grid points further from both neighbours than a period and a half.
        too_short: stretches left out.
        rates_hz: of each stretch.
    """

    out_of_order: int = 0
    duplicates: int = 0
    same_time: int = 0
    not_numbers: int = 0
    bursty: int = 0
    gaps: int = 0
    interpolated: int = 0
    points: int = 0
    too_short: int = 0
    rates_hz: list[float] = field(default_factory=list)
    restarts: int = 0


@dataclass(frozen=True, eq=False)
class Stretch:
    """Part of a stream with increasing times, a series a channel."""

    stream: Stream
    series: Mapping[str, tuple[F64, F64]]
    rate_hz: float


def stretches(streams: Sequence[Stream], counts: Counts, clock: str | None = None) -> list[Stretch]:
    """Return streams as stretches of increasing times, and count what had to be put right.

    Args:
        streams: of an import.
        counts: added to.
        clock: ``stamps`` or ``steady``; None decides stream by stream (rule 2).
    """
    out = []
    for stream in streams:
        clocks: dict[int, list[str]] = {}
        for channel, (t, _) in stream.series.items():
            clocks.setdefault(id(t), []).append(channel)
        for part in _parts(stream, counts):
            cut: dict[str, tuple[F64, F64]] = {}
            rates: list[float] = []
            for members in clocks.values():
                chosen = part if len(clocks) == 1 else slice(None)
                rates += _clocked(stream, members, chosen, counts, cut, clock=clock)
            if len(cut) == len(stream.series):
                counts.rates_hz.append(float(np.median(rates)))
                out.append(Stretch(stream, cut, counts.rates_hz[-1]))
    return out


def _clocked(
    stream: Stream,
    channels: Sequence[str],
    part: slice,
    counts: Counts,
    cut: dict[str, tuple[F64, F64]],
    *,
    clock: str | None,
) -> list[float]:
    """Put the series of channels that share their times into ``cut``; return their rates."""
    stamps = stream.series[channels[0]][0][part]
    x = np.stack([stream.series[channel][1][part] for channel in channels], axis=1)
    known = np.flatnonzero(np.isfinite(stamps))
    counts.out_of_order += int((np.diff(stamps[known]) < 0).sum())
    order = known[np.argsort(stamps[known], kind="stable")]
    times, x = stamps[order], x[order]
    again = np.concatenate([[False], (np.diff(times) == 0) & _alike(x)]) if len(times) else np.zeros(0, bool)
    counts.duplicates += int(again.sum())
    times, x = times[~again], x[~again]
    if len(times) < 2 or times[-1] <= times[0]:
        return []
    believed = stream.steady_hz is not None or clock == "stamps"
    if not believed and (clock == "steady" or _comes_in_bursts(times)):
        counts.bursty += 1
        steady = times[0] + np.arange(len(times)) / _mean_rate(times)
        times = steady + np.median(times - steady)
    first = np.concatenate([[True], np.diff(times) > 0])
    counts.same_time += int((~first).sum())
    times, x = times[first], x[first]
    counts.not_numbers += int((~np.isfinite(x)).sum())
    good = np.isfinite(x)
    if (good.sum(axis=0) < 2).any():
        return []
    for column, channel in enumerate(channels):
        cut[channel] = times[good[:, column]], x[good[:, column], column]
    return [1 / float(np.median(np.diff(times)))]


def _alike(x: F64) -> NDArray[np.bool_]:
    """Whether each row is the one before it."""
    pairs = (x[1:] == x[:-1]) | (np.isnan(x[1:]) & np.isnan(x[:-1]))
    alike: NDArray[np.bool_] = pairs.all(axis=1)
    return alike


def _parts(stream: Stream, counts: Counts) -> Iterator[slice]:
    """Rows between the places where the clock steps back by more than ``BACK_S``."""
    t = next(iter(stream.series.values()))[0]
    known = np.flatnonzero(np.isfinite(t))
    back = known[1:][np.diff(t[known]) < -BACK_S] if len(known) > 1 else known[:0]
    counts.restarts += len(back)
    for begin, end in pairwise([0, *back.tolist(), len(t)]):
        yield slice(begin, end)


def _mean_rate(t: F64) -> float:
    """Samples a second of ``t``, what is missing in long steps left out."""
    steps = np.diff(t)
    steps = steps[steps <= BACK_S]
    return len(steps) / float(steps.sum()) if len(steps) and steps.sum() > 0 else (len(t) - 1) / float(t[-1] - t[0])


def _comes_in_bursts(t: F64) -> bool:
    """Many stamps almost at once, then a pause: no sensor samples so."""
    with np.errstate(over="ignore"):
        steps = np.diff(t) * _mean_rate(t)
    return len(steps) > 20 and float((steps < BURST_STEP).mean()) > BURST_SHARE


def nominal_rate(rates_hz: Sequence[float]) -> float:
    """Return the usual rate that the median of ``rates_hz`` is next to, or the median itself."""
    median = float(np.median(rates_hz))
    near = min(RATES_HZ, key=lambda rate: abs(rate / median - 1))
    return near if abs(near / median - 1) <= RATE_TOLERANCE else round(median, 2)


def choose_rate(rates_hz: Sequence[float]) -> float:
    """Return the rate to bring recordings to: 50 Hz, or the source's own where that is lower."""
    return min(DEFAULT_RATE_HZ, nominal_rate(rates_hz))


def recordings_of(
    found: Sequence[Stretch],
    channels: Sequence[Channel],
    rate_hz: float,
    *,
    gap_s: float,
    min_s: float,
    label_names: Sequence[str],
    source: str,
    counts: Counts,
) -> list[Recording]:
    """Return steady recordings.

    Args:
        found: stretches.
        channels: of the recordings, in order.
        rate_hz: of the grid.
        gap_s: the longest step that is bridged.
        min_s: shorter recordings are left out.
        label_names: activities by index.
        source: for the recordings.
        counts: added to.

    Raises:
        DataError: more samples than anybody has.
    """
    index = {name: i for i, name in enumerate(label_names)} | {None: UNLABELLED}
    out: list[Recording] = []
    numbers: Counter[str] = Counter()
    for stretch in found:
        stream = stretch.stream
        for start, samples in _on_grid(stretch, channels, rate_hz, gap_s, counts):
            if len(samples) < min_s * rate_hz:
                counts.too_short += 1
                continue
            numbers[stream.name] += 1
            number = numbers[stream.name]
            out.append(
                Recording(
                    name=stream.name if number == 1 else f"{stream.name}-part{number}",
                    subject=stream.subject or stream.name,
                    rate_hz=rate_hz,
                    channels=tuple(channels),
                    samples=samples,
                    labels=_labels(stream, start + np.arange(len(samples)) / rate_hz, index, gap_s),
                    label_names=tuple(label_names),
                    source=source,
                )
            )
    return out


def _on_grid(
    stretch: Stretch, channels: Sequence[Channel], rate_hz: float, gap_s: float, counts: Counts
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Time of the first and samples ``[T, C]`` of each part without a gap.

    Raises:
        DataError: more samples than anybody has.
    """
    series = [stretch.series[channel.name] for channel in channels]
    parts = list(_between_gaps([t for t, _ in series], gap_s))
    counts.gaps += len(parts) - 1
    for begin, end in parts:
        count = int(np.floor((end - begin) * rate_hz + 1e-9)) + 1
        if counts.points + count > MAX_SAMPLES:
            raise DataError(
                f"{stretch.stream.name}: more than {MAX_SAMPLES} samples at {rate_hz:g} Hz; are the unit of time, "
                "--rate-hz and --gap-s right?"
            )
        counts.points += count
        grid = begin + np.arange(count) / rate_hz
        samples = np.empty((count, len(channels)), np.float32)
        with np.errstate(over="ignore"):
            for column, (t, x) in enumerate(series):
                samples[:, column] = np.interp(grid, t, x)
        t = series[0][0]
        right = np.clip(np.searchsorted(t, grid - 1e-9), 1, len(t) - 1)
        near = np.minimum(np.abs(t[right] - grid), np.abs(grid - t[right - 1]))
        counts.interpolated += int(((t[right] - t[right - 1] > 1.5 / stretch.rate_hz) & (near > 1e-9)).sum())
        finite = np.asarray(np.isfinite(samples).all(axis=1))
        for first, last in _runs(finite):  # float32 does not hold every number of a table
            yield float(grid[first]), samples[first:last]


def _between_gaps(times: Sequence[F64], gap_s: float) -> Iterator[tuple[float, float]]:
    """Begin and end of the parts in which no channel misses samples for longer than ``gap_s``."""
    begin, stop = max(t[0] for t in times), min(t[-1] for t in times)
    gaps = [(t[i], t[i + 1]) for t in times for i in np.flatnonzero(np.diff(t) > gap_s)]
    for last, following in sorted(gaps):
        if begin <= last <= stop:
            yield float(begin), float(last)
        begin = max(begin, following)
    if begin <= stop:
        yield float(begin), float(stop)


def _labels(stream: Stream, grid: F64, index: Mapping[str | None, int], gap_s: float) -> NDArray[np.int16] | None:
    """The label in force at each grid point: that of the last row before it, none after a gap."""
    if stream.labels is None:
        return None
    t, text = stream.labels
    places = np.flatnonzero(np.isfinite(t))
    order = places[np.argsort(t[places], kind="stable")]
    times = t[order]
    rows = np.clip(np.searchsorted(times, grid + 1e-9, side="right") - 1, 0, None)
    found = np.array([index.get(value, UNLABELLED) for value in text[order[rows]].tolist()], np.int16)
    found[np.abs(grid - times[rows]) > gap_s] = UNLABELLED
    return found


def _runs(whole: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], whole, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
