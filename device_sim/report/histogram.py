"""Latency per stage: one histogram each on a shared logarithmic axis, with p50, p99, max and the deadline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from device_sim import telemetry
from device_sim.report.figures import count, duration, mapping, number, numbers, plural
from device_sim.report.markup import Cell, empty, plain, section, table, text

STAGES = {
    "sample": "Sample",
    "front_end": "Front end",
    "engine": "Engine",
    "decision": "Decision",
    "total": "Whole decision",
    "response": "Response",
    "wake_up": "Wake-up",
}
MARKS = {"p50": "p50", "p99": "p99", "max": "max"}
NOISE = (
    "Noise of this host: gaps in a loop that only reads the clock. A stage's slowest time may be the host's doing "
    "where it is no longer than these"
)
MAX_BARS = 160
HEIGHT, BASE = 64, 60


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis of microseconds, ``low`` to ``high``, both powers of ten."""

    low: float
    high: float

    def percent(self, value: float) -> float:
        """Return where ``value`` lies, 0..100; outside values stick to the ends."""
        clamped = min(max(value, self.low), self.high)
        return 100 * math.log10(clamped / self.low) / math.log10(self.high / self.low)

    @property
    def decades(self) -> list[float]:
        """The labelled ticks."""
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        step = max(1, -(-(last - first) // 8))
        return [10.0**power for power in range(first, last + 1, step)]


def section_html(summary: Mapping[str, Any], period_us: float | None) -> str:
    """Return the latency section: histograms, then the table of percentiles."""
    title = "How fast it decides"
    stages = mapping(summary.get("latency_us"))
    known = {name: mapping(stages[name]) for name in [*STAGES, *stages] if mapping(stages.get(name))}
    if not known:
        return section("latency", title, "", empty("No latency was recorded in this run."))
    histograms = mapping(summary.get("latency_histogram_us"))
    bars = {name: _bars(mapping(histograms.get(name))) for name in known}
    lines = {"deadline": period_us, "noise": longest_gap_us(summary)}
    axis = _axis(known, bars, period_us)
    rows = "\n".join(_stage(name, known[name], bars[name], axis, lines) for name in known)
    charts = f'{_key(lines)}\n<div class="latency">{rows}\n{_ticks(axis)}</div>'
    tables = [
        _table("Latency percentiles of each stage", known, period_us),
        _apart(summary, period_us),
        _noise(summary),
    ]
    body = "\n".join(part for part in tables if part)
    return section("latency", title, _lead(summary), f'{charts}\n<div class="stack">{body}</div>')


def longest_gap_us(summary: Mapping[str, Any]) -> float | None:
    """Return the longest gap of an idle loop on the host, before or after the run; None where it was not measured."""
    noise = mapping(summary.get("host_noise_us"))
    gaps = [number(mapping(noise.get(when)).get("max")) for when in ("before", "after")]
    return max((gap for gap in gaps if gap is not None and gap > 0), default=None)


def _apart(summary: Mapping[str, Any], period_us: float | None) -> str:
    """Warm-up and the rest, where both were timed."""
    warm_up, steady = mapping(summary.get("latency_warm_up_us")), mapping(summary.get("latency_steady_us"))
    decisions, first = number(warm_up.get("decisions")), mapping(warm_up.get("stages"))
    if not decisions or not first or not steady:
        return ""
    words = plural(decisions, "decision")
    return (
        f"<div>{_table(f'The first {words} alone: caches are cold', first, period_us)}</div>"
        f"<div>{_table(f'All but the first {words}', steady, period_us)}</div>"
    )


def _noise(summary: Mapping[str, Any]) -> str:
    noise = mapping(summary.get("host_noise_us"))
    rows = {f"Idle loop {when} the run": mapping(noise.get(when)) for when in ("before", "after")}
    known = {name: row for name, row in rows.items() if row}
    return f"<div>{_table(NOISE, known, None)}</div>" if known else ""


def _lead(summary: Mapping[str, Any]) -> str:
    kind = {
        "measured": "Measured with this host's monotonic clock: a host's time, not a microcontroller's.",
        "modelled": "Modelled from instruction counts and published cycle tables, not measured on a board.",
    }.get(str(summary.get("latency_kind")), "The run does not say whether these times are measured or modelled.")
    every = number(summary.get("latency_timed_every"))
    if every is not None and every > 1:
        kind += f" One decision in {count(every)} is timed by itself, the engine in all."
    execution = mapping(summary.get("execution"))
    if number(execution.get("threads")) == number(execution.get("batch")) == 1:
        kind += " One thread, one window at a time."
    return f"{kind} Bar height is the logarithm of the count, so that a single slow decision stays visible."


def _bars(histogram: Mapping[str, Any]) -> list[tuple[float, float, float]]:
    """Return (low, high, count) of the bins from the first to the last that is not empty, at most ``MAX_BARS``."""
    edges, counts = numbers(histogram.get("edges")), numbers(histogram.get("counts"))
    if len(edges) != len(counts) + 1 or any(b <= a for a, b in pairwise(edges)):
        return []
    filled = [index for index, n in enumerate(counts) if n > 0]
    if not filled:
        return []
    first, last = filled[0], filled[-1] + 1
    group = -(-(last - first) // MAX_BARS)
    cuts = [*range(first, last, group), last]
    return [(edges[a], edges[b], sum(counts[a:b])) for a, b in pairwise(cuts)]


def _axis(
    stages: Mapping[str, Mapping[str, Any]],
    bars: Mapping[str, Sequence[tuple[float, float, float]]],
    period_us: float | None,
) -> Axis:
    values = [number(stage.get(mark)) for stage in stages.values() for mark in MARKS]
    values += [edge for group in bars.values() for low, high, _ in group for edge in (low, high)]
    values += [period_us]
    positive = [value for value in values if value is not None and value > 0]
    low = 10.0 ** math.floor(math.log10(max(min(positive, default=1.0), 1e-3)))
    high = 10.0 ** math.ceil(math.log10(min(max(positive, default=10.0), 1e12)) + 1e-9)
    return Axis(low, max(high, 10 * low))


def _stage(
    name: str,
    stage: Mapping[str, Any],
    bars: Sequence[tuple[float, float, float]],
    axis: Axis,
    lines: Mapping[str, float | None],
) -> str:
    label = STAGES.get(name, name)
    tallest = math.log1p(max((n for _, _, n in bars), default=0.0))
    shapes = []
    for low, high, n in bars:
        x0, x1 = axis.percent(low), axis.percent(high)
        if n > 0:
            tall = max(2.0, (BASE - 8) * math.log1p(n) / tallest)
            shapes.append(
                f'<rect x="{x0:.2f}%" y="{BASE - tall:.1f}" width="{max(x1 - x0, 0.15):.2f}%" height="{tall:.1f}">'
                f"<title>{duration(low)} to {duration(high)}: {count(n)}</title></rect>"
            )
    marks = "".join(
        f'<line class="{mark}" x1="{axis.percent(value):.2f}%" x2="{axis.percent(value):.2f}%" y1="2" y2="{BASE}"/>'
        for mark in MARKS
        if (value := number(stage.get(mark))) is not None and value > 0
    )
    across = "".join(
        f'<line class="{name}" x1="{axis.percent(at):.2f}%" x2="{axis.percent(at):.2f}%" y1="0" y2="{HEIGHT}"/>'
        for name, at in lines.items()
        if at
    )
    grid = "".join(
        f'<line class="grid" x1="{axis.percent(t):.2f}%" x2="{axis.percent(t):.2f}%" y1="0" y2="{BASE}"/>'
        for t in axis.decades
    )
    figures = " · ".join(f"{mark} {duration(stage.get(mark))}" for mark in MARKS)
    note = telemetry.STAGES.get(name, "")
    missing = "" if bars else '<span class="empty">no histogram recorded</span>'
    return (
        f'<div class="stage"><p><b>{text(label)}</b> <span>{text(note)}</span> <em>{figures}</em>{missing}</p>'
        f'<svg width="100%" height="{HEIGHT}" role="img" aria-label="{text(label)}: {figures}">'
        f"<title>{text(label)} latency</title><desc>{text(label)}: {figures}</desc>"
        f'{grid}<line class="base" x1="0" x2="100%" y1="{BASE}" y2="{BASE}"/>'
        f'<g class="bars">{"".join(shapes)}</g>{marks}{across}</svg></div>'
    )


def _ticks(axis: Axis) -> str:
    ticks = axis.decades
    words = "".join(
        f'<text class="{"odd" if i % 2 else "even"}" x="{axis.percent(t):.2f}%" y="13" '
        f'text-anchor="{"start" if i == 0 else "end" if t == axis.high else "middle"}">{_decade(t)}</text>'
        for i, t in enumerate(ticks)
    )
    return f'<svg class="axis" width="100%" height="18" aria-hidden="true">{words}</svg>'


def _decade(microseconds: float) -> str:
    for unit, scale in (("s", 1e6), ("ms", 1e3), ("µs", 1.0)):
        if microseconds >= scale:
            return f"{microseconds / scale:,.0f} {unit}"
    return f"{microseconds:g} µs"


def _key(across: Mapping[str, float | None]) -> str:
    items = [("p50", "p50, the median"), ("p99", "p99"), ("max", "slowest")]
    meanings = {"deadline": "deadline: {}, the next sample", "noise": "longest gap of an idle loop here: {}"}
    items += [(name, meanings[name].format(duration(at))) for name, at in across.items() if at]
    lines = "".join(
        f'<li><svg width="18" height="12" aria-hidden="true"><line class="{kind}" x1="9" x2="9" y1="0" y2="12"/></svg>'
        f"{text(words)}</li>"
        for kind, words in items
    )
    return f'<ul class="legend latency-key">{lines}</ul>'


def _table(caption: str, stages: Mapping[str, Mapping[str, Any]], period_us: float | None) -> str:
    columns = ["Stage", "#p50", "#p90", "#p99", "#p99.9", "#max", "#count"]
    rows = [
        [plain(STAGES.get(name, name)), *(_late(stage.get(key), period_us) for key in ("p50", "p90", "p99", "p999",
         "max")), plain(count(stage.get("count")))]
        for name, stage in ((name, mapping(stage)) for name, stage in stages.items())
    ]  # fmt: skip
    return table(caption, columns, rows, "figures")


def _late(value: Any, period_us: float | None) -> Cell:
    found = number(value)
    late = found is not None and period_us is not None and found > period_us
    return Cell(text(duration(value)), "bad" if late else "", "later than the next sample" if late else "")
