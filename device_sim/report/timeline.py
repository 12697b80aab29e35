"""The streaming timeline: truth, decisions, disagreements, baseline and confidence of each recording.

A decision is drawn from the moment the device made it (the last sample of its window) to the next one, so the lag
of a window is visible as it is on a device. Positions are percentages and grid steps: the page stretches the chart
without drawing it again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.report.bands import Runs, area_path, band_paths, bounded, mark_path
from device_sim.report.figures import clock_time, percent, plural
from device_sim.report.markup import empty, section, text
from device_sim.report.palette import Activity
from device_sim.results import RecordingTrace

MAX_RECORDINGS = 120  # pages of more than this load slowly; the ones with most errors are kept
NODES = 60_000  # runs and steps over all recordings
TOOLTIP_POINTS = 60_000  # decisions a reader can point at, over all recordings
BASE_WIDTH_PX = 860  # narrowest drawing; phones scroll
CODE_PX, LETTER_PX = 8.4, 7.2  # width of a capital of a code, of a letter of a name, at 12 px
ZOOMS = (1, 2, 4, 8)
TICK_STEPS_S = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600)

# name, top and height of each row in pixels; the style sheet places the row names by the same figures
HATCH = (
    '<svg width="0" height="0" class="sr" aria-hidden="true"><defs><pattern id="hatch" width="8" height="8" '
    'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch-a" width="8" height="8"/>'
    '<rect class="hatch-b" width="3" height="8"/></pattern></defs></svg>'
)
ROWS = {"truth": (0, 26), "device": (32, 26), "wrong": (64, 8), "baseline": (80, 14), "sure": (102, 44)}
TICK_Y, AXIS_Y = 147, 164
HEIGHT = 170


@dataclass(frozen=True, eq=False)
class View:
    """One recording on its own clock: ``edges`` ``[N + 1]`` seconds, decision i holds from edge i to i + 1."""

    trace: RecordingTrace
    duration_s: float
    edges: NDArray[np.float64]
    sure: NDArray[np.float64]  # [N] probability of the decided class
    wrong: NDArray[np.bool_]  # [N] scored and not the truth

    @property
    def scored(self) -> int:
        """Windows with a single truth."""
        return int((self.trace.truth >= 0).sum())


def view(trace: RecordingTrace, window: int, hop: int) -> View:
    """Place a trace on its clock. Decision i comes with sample ``starts[i] + window - 1`` and holds for a hop."""
    trace = _with_silence(trace, hop)
    n = len(trace.decisions)
    times = (np.asarray(trace.starts, np.float64) + window - 1) / trace.rate_hz
    length = len(trace.sample_labels) / trace.rate_hz if trace.sample_labels is not None else 0.0
    end = times[-1] + hop / trace.rate_hz if n else 0.0
    duration_s = float(length or end or 1.0)
    edges = np.minimum(np.append(times, end), duration_s)
    decided = np.asarray(trace.decisions, np.int64)
    usable = n and trace.probabilities.ndim == 2 and trace.probabilities.shape[1] > 0
    sure = np.zeros(n)
    if usable:
        known = trace.probabilities.shape[1]  # what is rejected has no probability of its own: that of the best label
        columns = np.where(decided < known, np.maximum(decided, 0), trace.probabilities.argmax(axis=1))
        sure = np.where(decided >= 0, trace.probabilities[np.arange(n), columns], 0.0).astype(np.float64)
    return View(trace, duration_s, edges, sure, (trace.truth >= 0) & (trace.decisions != trace.truth))


def _with_silence(trace: RecordingTrace, hop: int) -> RecordingTrace:
    """Return the trace with a decision for nothing wherever the next one is more than a hop away."""
    last = np.flatnonzero(np.diff(trace.starts) > hop)
    if not len(last):
        return trace
    at, none = last + 1, np.int16(-1)
    return replace(
        trace,
        starts=np.insert(trace.starts, at, trace.starts[last] + hop),
        truth=np.insert(trace.truth, at, none),
        decisions=np.insert(trace.decisions, at, none),
        probabilities=np.insert(trace.probabilities, at, np.float32(0), axis=0),
        baseline=None if trace.baseline is None else np.insert(trace.baseline, at, none),
    )


def section_html(traces: Sequence[RecordingTrace], shown: Sequence[Activity], window: int, hop: int) -> str:
    """Return the section with every recording's timeline; the script shows one at a time."""
    views = [view(trace, window, hop) for trace in traces]
    kept = [v for v in views if len(v.trace.decisions)]
    if not kept:
        why = (
            "The result holds no recording traces, only the summary; run the simulation again to see them."
            if not views
            else "No recording is as long as one window, so the device made no decision."
        )
        return section("timeline", "What the device said, over time", "", empty(why))
    left_out = ""
    if len(kept) > MAX_RECORDINGS:
        worst = sorted(range(len(kept)), key=lambda i: (-int(kept[i].wrong.sum()), i))[:MAX_RECORDINGS]
        left_out = f" Of {len(kept):,} recordings the {MAX_RECORDINGS} with most errors are drawn."
        kept = [kept[i] for i in sorted(worst)]
    opened = max(range(len(kept)), key=lambda i: (int(kept[i].wrong.sum()), -i))
    most = min(max(NODES // len(kept), 200), 1500)
    stride = max(1, -(-sum(len(v.trace.decisions) for v in kept) // TOOLTIP_POINTS))
    figures = "\n".join(_figure(v, shown, most, i == opened) for i, v in enumerate(kept))
    lead = (
        "Truth as labelled, and what the device decided at each moment, one colour an activity. Hatched: unlabelled, "
        f"not yet decided, or silent after a gap.{left_out}"
    )
    body = f"{HATCH}{_legend(shown)}\n{_controls(kept, opened)}\n{figures}\n{_data(kept, shown, stride)}"
    return section("timeline", "What the device said, over time", lead, body)


def _legend(shown: Sequence[Activity]) -> str:
    items = "".join(f'<li><i class="s{i}"></i><b>{text(a.code)}</b> {text(a.name)}</li>' for i, a in enumerate(shown))
    return f'<ul class="legend" aria-label="Activities">{items}<li><i class="none"></i>none</li></ul>'


def _name(v: View) -> str:
    name, subject = v.trace.recording, v.trace.subject
    return name if subject in name else f"{name}, subject {subject}"


def _score(v: View) -> str:
    if not v.scored:
        return f"{plural(int((v.trace.decisions >= 0).sum()), 'decision')}, not scored"
    return f"{percent(1 - v.wrong.sum() / v.scored)} right, {int(v.wrong.sum())} of {v.scored} wrong"


def _controls(views: Sequence[View], opened: int) -> str:
    options = "".join(
        f'<option value="{i}"{" selected" if i == opened else ""}>{text(_name(v))} · {text(_score(v))}</option>'
        for i, v in enumerate(views)
    )
    zooms = "".join(
        f'<button type="button" data-zoom="{z}" aria-pressed="{"true" if z == 1 else "false"}">{z}×</button>'
        for z in ZOOMS
    )
    return (
        '<div class="controls"><div class="pick"><button type="button" data-step="-1" aria-label="Previous recording">'
        '‹</button><label><span class="sr">Recording</span><select id="recording">'
        f'{options}</select></label><button type="button" data-step="1" aria-label="Next recording">›</button></div>'
        f'<div class="zoom" role="group" aria-label="Zoom"><span>Zoom</span>{zooms}</div>'
        '<div class="jump"><button type="button" data-error="-1">‹ error</button>'
        '<button type="button" data-error="1">error ›</button></div></div>'
    )


def _figure(v: View, shown: Sequence[Activity], most: int, opened: bool) -> str:
    trace, classes = v.trace, len(shown)
    names = {"truth": "Truth", "device": "Device", "wrong": "Wrong", "baseline": "Baseline", "sure": "Confidence"}
    parts = []
    if trace.sample_labels is not None:
        labels = np.asarray(trace.sample_labels, np.int64)
        truth = bounded(labels, np.arange(len(labels) + 1) / trace.rate_hz, most)
        parts.append(_band("truth", truth, v, classes) + _labels("truth", truth, v, shown))
    else:
        del names["truth"]
    decided = bounded(np.asarray(trace.decisions, np.int64), v.edges, most)
    parts.append(_band("device", decided, v, classes) + _labels("device", decided, v, shown))
    if v.scored:
        parts.append(_wrong(v, most))
    else:
        del names["wrong"]
    if trace.baseline is not None:
        parts.append(_band("baseline", bounded(np.asarray(trace.baseline, np.int64), v.edges, most), v, classes))
    else:
        del names["baseline"]
    top, height = ROWS["sure"]
    area = area_path(v.sure, v.edges, v.duration_s, most)
    parts.append(
        _nested(top, height, 100, f'<path class="area" d="{area}"/><path class="half" d="M0 50H10000"/>', "track")
    )
    parts.append(f'<g class="axis">{_axis(v.duration_s)}</g>')
    row_names = "".join(f'<span class="row-{key}">{name}</span>' for key, name in names.items())
    title = f"{_name(v)}: {_score(v)}"
    return (
        f'<figure class="recording{" open" if opened else ""}" data-duration="{v.duration_s:.6g}">'
        f"<figcaption><b>{text(_name(v))}</b> <span>{text(_score(v))}, {text(clock_time(v.duration_s))} long"
        f"{_missing(trace)}</span></figcaption>\n"
        f'<div class="strip"><div class="rows" aria-hidden="true">{row_names}</div>'
        f'<div class="scroll"><svg class="timeline" width="100%" height="{HEIGHT}" tabindex="0" role="img" '
        f'aria-label="{text(title)}. Arrow keys move through the decisions, E jumps to the next error.">'
        f"<title>{text(title)}</title><desc>{text(_describe(v, shown))}</desc>{''.join(parts)}"
        f'<line class="cursor" x1="0" x2="0" y1="0" y2="{ROWS["sure"][0] + ROWS["sure"][1]}"/></svg></div></div>'
        "</figure>"
    )


def _missing(trace: RecordingTrace) -> str:
    gaps = []
    if trace.sample_labels is None:
        gaps.append("no labels, so no truth")
    if trace.baseline is None:
        gaps.append("no baseline")
    return f"; {' and '.join(gaps)}" if gaps else ""


def _describe(v: View, shown: Sequence[Activity]) -> str:
    counts = np.bincount(np.clip(v.trace.decisions, -1, len(shown) - 1) + 1, minlength=len(shown) + 1)[1:]
    order = sorted(range(len(shown)), key=lambda i: (-counts[i], i))
    most = ", ".join(f"{shown[i].name} {counts[i]}" for i in order if counts[i])
    return f"{plural(int((v.trace.decisions >= 0).sum()), 'decision')}: {most}."


def _nested(top: int, height: int, units: int, markup: str, classes: str) -> str:
    return (
        f'<rect class="back {classes}" y="{top}" width="100%" height="{height}"/>'
        f'<svg y="{top}" width="100%" height="{height}" viewBox="0 0 10000 {units}" '
        f'preserveAspectRatio="none">{markup}</svg>'
    )


def _band(row: str, runs: Runs, v: View, classes: int) -> str:
    top, height = ROWS[row]
    return _nested(top, height, height, band_paths(runs, v.duration_s, height, classes), "band")


def _wrong(v: View, most: int) -> str:
    top, height = ROWS["wrong"]
    n = len(v.wrong)
    cuts = np.unique(np.linspace(0, n, min(n, most) + 1).astype(np.int64))
    flags = np.maximum.reduceat(v.wrong.astype(np.int64), cuts[:-1])
    shape = mark_path(bounded(flags, v.edges[cuts], len(flags)), v.duration_s, height, 25)
    return (
        f'<svg class="wrong" y="{top}" width="100%" height="{height}" viewBox="0 0 10000 {height}" '
        f'preserveAspectRatio="none"><path d="{shape}"/></svg>'
    )


def _labels(row: str, runs: Runs, v: View, shown: Sequence[Activity]) -> str:
    """Write each run's name, or its code, from the first zoom at which that fits; none that never fits."""
    top, height = ROWS[row]
    parts = []
    for label, start, end in zip(runs.label, runs.start, runs.end, strict=True):
        if not 0 <= label < len(shown):
            continue
        width = (end - start) / v.duration_s * BASE_WIDTH_PX
        name, code = shown[label].name, shown[label].code
        if len(name) * LETTER_PX + 8 <= width:
            words, zoom = name, 1
        else:
            words, needed = code, len(code) * CODE_PX + 4
            zoom = next((z for z in ZOOMS if needed <= width * z), 0)
        if zoom:
            x = 50 * (start + end) / v.duration_s
            parts.append(
                f'<text class="t{label}{f" z{zoom}" if zoom > 1 else ""}" x="{x:.2f}%" y="{top + height - 9}">'
                f"{text(words)}</text>"
            )
    return f'<g class="names">{"".join(parts)}</g>' if parts else ""


def _axis(duration_s: float) -> str:
    """Return ticks that fit the unzoomed width; the script draws finer ones when a reader zooms in."""
    step = next((s for s in TICK_STEPS_S if duration_s / s <= BASE_WIDTH_PX / 80), duration_s)
    ticks = np.arange(0, duration_s * (1 - 45 / BASE_WIDTH_PX), step)
    places = [(f"{100 * t / duration_s:.3f}%", _tick(float(t))) for t in ticks]
    return "".join(
        f'<line x1="{x}" x2="{x}" y1="{TICK_Y}" y2="{TICK_Y + 5}"/><text x="{x}" y="{AXIS_Y}">{words}</text>'
        for x, words in places
    )


def _tick(seconds: float) -> str:
    label = clock_time(seconds)
    return label.removesuffix(".0")


def _data(views: Sequence[View], shown: Sequence[Activity], stride: int) -> str:
    """Return what the tooltips read, as JSON that cannot end its own element."""
    data = {
        "names": [a.name for a in shown],
        "recordings": [_points(v, stride) for v in views],
        "steps": TICK_STEPS_S,
        "axisY": AXIS_Y,
        "tickY": TICK_Y,
    }
    encoded = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="data">{encoded}</script>'


def _points(v: View, stride: int) -> dict[str, Any]:
    trace = v.trace
    return {
        "t": _deltas(np.rint(1000 * v.edges[:-1:stride]).astype(np.int64)),
        "d": _lengths(trace.decisions[::stride]),
        "y": _lengths(trace.truth[::stride]),
        "b": None if trace.baseline is None else _lengths(trace.baseline[::stride]),
        "p": np.rint(100 * np.nan_to_num(v.sure[::stride])).astype(int).tolist(),
        "labelled": trace.sample_labels is not None,
    }


def _deltas(milliseconds: NDArray[np.int64]) -> list[int]:
    """Run lengths of the first differences: a steady hop is two numbers."""
    return _lengths(np.diff(milliseconds, prepend=0))


def _lengths(values: NDArray[np.integer]) -> list[int]:
    """``5 5 5 2`` as ``[5, 3, 2, 1]``."""
    if len(values) == 0:
        return []
    first = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    counts = np.diff(np.append(first, len(values)))
    return np.stack([values[first].astype(np.int64), counts], axis=1).ravel().tolist()
