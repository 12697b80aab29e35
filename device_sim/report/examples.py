"""Windows on which the device decided otherwise than the baseline, drawn as the sensor gave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.report.figures import MINUS, clock_time, count, mapping, number, percent, plural
from device_sim.report.markup import empty, section, text
from device_sim.report.palette import Activity
from device_sim.report.verdict import NO_BASELINE
from device_sim.results import Example
from edgehar.recording import Channel

TITLE = "Where device and baseline differ"
HEIGHT = 72
MOST_POINTS = 400
MOST_LINES = 6  # of one sensor; each has its own dash, so that colour is not the only sign
MOST_SENSORS = 4


def section_html(
    summary: Mapping[str, Any], examples: Sequence[Example], channels: Sequence[Channel], shown: Sequence[Activity]
) -> str:
    """Return the windows, or why there are none."""
    if not mapping(summary.get("baseline")):
        return section("examples", TITLE, "", empty(f"Nothing to compare with: {NO_BASELINE}."))
    if not examples:
        alike = number(summary.get("agreement")) == 1
        why = "None: both decide alike in every window." if alike else "The run kept no window to draw."
        return section("examples", TITLE, "", empty(why))
    figures = "\n".join(_figure(example, channels, shown) for example in examples)
    lead = (
        f"{_how_many(summary)} Drawn are {plural(len(examples), 'window')}, of each kind those that the device was "
        "surest of: first where the baseline is right, then where the device is, then where neither is or nobody knows."
    )
    return section("examples", TITLE, lead, f'{_key(_axes(channels))}\n<div class="examples">{figures}</div>')


def _how_many(summary: Mapping[str, Any]) -> str:
    alike, windows = number(summary.get("agreement")), number(mapping(summary.get("baseline")).get("windows"))
    if alike is None or windows is None:
        return ""
    return f"{plural(round((1 - alike) * windows), 'scored window')} of {count(windows)} are decided differently."


def sensors(channels: Sequence[Channel]) -> list[tuple[str, list[int]]]:
    """Return name with unit and columns of each sensor, in the order of their first channel."""
    found: dict[str, list[int]] = {}
    for index, channel in enumerate(channels):
        found.setdefault(f"{channel.sensor}, {channel.unit}", []).append(index)
    return [(name, columns[:MOST_LINES]) for name, columns in found.items()][:MOST_SENSORS]


def _axes(channels: Sequence[Channel]) -> list[str]:
    """The axes of all sensors; the place of one is its line."""
    return list(dict.fromkeys(channels[i].axis for _, columns in sensors(channels) for i in columns))


def _key(axes: Sequence[str]) -> str:
    items = "".join(
        f'<li><svg width="26" height="10" aria-hidden="true"><path class="l{i % MOST_LINES}" d="M0 5H26"/></svg>'
        f"{text(axis)}</li>"
        for i, axis in enumerate(axes)
    )
    return f'<ul class="legend axes">{items}</ul>'


def _figure(example: Example, channels: Sequence[Channel], shown: Sequence[Activity]) -> str:
    truth, device, baseline = (_name(shown, i) for i in (example.truth, example.device, example.baseline))
    sure = f" ({percent(example.probability, 0)})" if example.probability is not None else ""
    where = f"{example.subject}, {example.recording}, from {clock_time(example.start_s)}"
    words = f"{where}: truth {truth}, device {device}{sure}, baseline {baseline}"
    axes = _axes(channels)
    plots = "".join(
        _plot(name, example.samples[:, columns], [axes.index(channels[i].axis) for i in columns], words)
        for name, columns in sensors(channels)
    )
    tags = "".join(
        f"<div><dt>{title}</dt><dd>{_swatch(index)}{text(name)}{extra}</dd></div>"
        for title, index, name, extra in (
            ("Truth", example.truth, truth, ""),
            ("Device", example.device, device, text(sure)),
            ("Baseline", example.baseline, baseline, ""),
        )
    )
    return f'<figure class="example"><figcaption>{text(where)}</figcaption><dl>{tags}</dl>{plots}</figure>'


def _swatch(index: int) -> str:
    return f'<i class="{f"s{index}" if index >= 0 else "none"}"></i>'


def _name(shown: Sequence[Activity], index: int) -> str:
    return shown[index].name if 0 <= index < len(shown) else "none"


def _plot(name: str, samples: NDArray[np.float32], lines: Sequence[int], words: str) -> str:
    finite = samples[np.isfinite(samples)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    spread = max(high - low, 1e-6)
    shapes = "".join(
        f'<path class="l{line % MOST_LINES}" d="{path((samples[:, i] - low) / spread)}"/>'
        for i, line in enumerate(lines)
    )
    span = f"{low:.2f} to {high:.2f}".replace("-", MINUS)
    label = f"{name} from {span}. {words}"
    return (
        f'<div class="trace"><span>{text(name)}: {span}</span><svg width="100%" height="{HEIGHT}" '
        f'viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{text(label)}">'
        f"{shapes}</svg></div>"
    )


def path(heights: NDArray[np.floating[Any]]) -> str:
    """Return the path of values 0 to 1, at most ``MOST_POINTS`` of them; what is not finite is a gap."""
    step = max(1, -(-len(heights) // MOST_POINTS))
    kept = heights[::step]
    parts, pen = [], "M"
    for i, value in enumerate(kept.tolist()):
        if not np.isfinite(value):
            pen = "M"
            continue
        x = 1000 * i / max(1, len(kept) - 1)
        parts.append(f"{pen}{x:.0f} {HEIGHT - 3 - (HEIGHT - 6) * min(max(value, 0.0), 1.0):.1f}")
        pen = "L"
    return "".join(parts)
