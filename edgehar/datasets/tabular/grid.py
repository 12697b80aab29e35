"""Streams to recordings: a steady grid, straight lines between neighbours, cut where samples are missing too long.

1. Samples are put in the order of their times; one that is there twice counts once; a step back of more than
   ``BACK_S`` begins another stretch (a logger that was started again).
2. Stamps that come in bursts, as phones deliver them, say little about each sample: then the samples of a stretch
   are taken as steady at the stretch's own rate, shifted by the median of what the stamps differ from that. Elsewhere
   the first of several samples at one time counts.
3. Each channel is interpolated by itself, over its samples that are numbers, so that cells without a number, and
   sensors with times of their own, need no other rule.
4. A grid point whose neighbours lie further apart than ``gap_s`` is none; what is left between such points, if it is
   long enough, is a recording each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgehar.datasets.tabular.streams import Stream
from edgehar.recording import UNLABELLED, Channel, Recording

BACK_S = 1.0
BURST_STEP = 0.2  # periods
BURST_SHARE = 0.03  # of all steps; a phone's stamps have 8 % at the same millisecond, a microcontroller's next to none
RATES_HZ = (10.0, 12.5, 20.0, 25.0, 26.0, 30.0, 32.0, 40.0, 50.0, 52.0, 60.0, 64.0, 100.0, 104.0, 128.0, 200.0)
RATE_TOLERANCE = 0.03
DEFAULT_RATE_HZ = 50.0
MAX_SAMPLES = 100_000_000  # a clock that jumps by years must not fill the memory

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
    """
    index = {name: i for i, name in enumerate(label_names)} | {None: UNLABELLED}
    out: list[Recording] = []
    numbers: Counter[str] = Counter()
    for stretch in found:
        samples, whole, start = _on_grid(stretch, channels, rate_hz, gap_s, counts)
        labels = _labels(stretch.stream, start + np.arange(len(samples)) / rate_hz, index, gap_s)
        for begin, end in _runs(whole):
            if end - begin < min_s * rate_hz:
                counts.too_short += 1
                continue
            name = stretch.stream.name
            numbers[name] += 1
            out.append(
                Recording(
                    name=name if numbers[name] == 1 else f"{name}-part{numbers[name]}",
                    subject=stretch.stream.subject or name,
                    rate_hz=rate_hz,
                    channels=tuple(channels),
                    samples=samples[begin:end],
                    labels=None if labels is None else labels[begin:end],
                    label_names=tuple(label_names),
                    source=source,
                )
            )
    return out


def _on_grid(
    stretch: Stretch, channels: Sequence[Channel], rate_hz: float, gap_s: float, counts: Counts
) -> tuple[NDArray[np.float32], NDArray[np.bool_], float]:
    """Samples ``[T, C]``, which of them lie in no gap, and the time of the first."""
    series = [stretch.series[channel.name] for channel in channels]
    start, stop = max(t[0] for t, _ in series), min(t[-1] for t, _ in series)
    count = int(np.floor((stop - start) * rate_hz + 1e-9)) + 1
    if count < 1:
        return np.empty((0, len(channels)), np.float32), np.zeros(0, bool), start
    if count > MAX_SAMPLES:
        return _without_gaps(stretch, channels, rate_hz, gap_s, counts)
    grid = start + np.arange(count) / rate_hz
    samples = np.empty((count, len(channels)), np.float32)
    whole = np.ones(count, bool)
    with np.errstate(over="ignore"):
        for column, (t, x) in enumerate(series):
            right = np.clip(np.searchsorted(t, grid - 1e-9), 1, len(t) - 1)
            step = t[right] - t[right - 1]
            on_sample = (np.abs(t[right] - grid) < 1e-9) | (np.abs(t[right - 1] - grid) < 1e-9)
            whole &= (step <= gap_s) | on_sample
            if column == 0:
                counts.interpolated += int(((step > 1.5 / stretch.rate_hz) & ~on_sample & (step <= gap_s)).sum())
                counts.points += count
            samples[:, column] = np.interp(grid, t, x)
    whole &= np.isfinite(samples).all(axis=1)
    counts.gaps += int((np.diff(whole.astype(np.int8)) == -1).sum())
    return samples, whole, float(start)


def _without_gaps(
    stretch: Stretch, channels: Sequence[Channel], rate_hz: float, gap_s: float, counts: Counts
) -> tuple[NDArray[np.float32], NDArray[np.bool_], float]:
    """A clock that jumps far ahead: only what comes before its first long gap."""
    t = stretch.series[channels[0].name][0]
    far = np.flatnonzero(np.diff(t) > gap_s)
    if not len(far):
        return np.empty((0, len(channels)), np.float32), np.zeros(0, bool), float(t[0])
    stop = t[far[0]]
    counts.gaps += 1
    near = {c: (s[0][s[0] <= stop], s[1][s[0] <= stop]) for c, s in stretch.series.items()}
    if any(len(times) < 2 for times, _ in near.values()):
        return np.empty((0, len(channels)), np.float32), np.zeros(0, bool), float(t[0])
    return _on_grid(Stretch(stretch.stream, near, stretch.rate_hz), channels, rate_hz, gap_s, counts)


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
