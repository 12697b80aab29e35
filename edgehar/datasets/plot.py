"""One recording as a picture: its sensors over time, labelled stretches as coloured spans. Needs matplotlib."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from edgehar.errors import DataError
from edgehar.recording import UNLABELLED, Recording

# One hue an activity; the six of HAPT's transitions come after and are darker. Label indices beyond it start over.
LABEL_COLOURS = (
    *("#4e9ed8", "#f28e2b", "#e15759", "#59a14f", "#edc948", "#b07aa1"),
    *("#7d6608", "#1e6b3a", "#6e2c00", "#4a235a", "#1b4f72", "#7b241c"),
)
WIDTH_IN, DPI = 14.0, 110
AXIS_COLOURS = ("#c23b00", "#0057a8", "#1c1c1c")
_SENSOR_TITLES = {"acc": "acceleration", "gyro": "angular velocity"}
_INCHES_A_LETTER = 0.075  # at 8 points; a name is written only into a stretch with room for it
_MINUTES_FROM_S = 1200.0  # longer recordings are drawn over minutes


def label_stretches(labels: NDArray[np.int16]) -> list[tuple[int, int, int]]:
    """Return ``(label, start, stop)`` in samples of every maximal stretch of one label, unlabelled ones left out."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    starts = np.concatenate([[0], edges])
    stops = np.concatenate([edges, [len(labels)]])
    return [(int(labels[a]), int(a), int(b)) for a, b in zip(starts, stops, strict=True) if labels[a] != UNLABELLED]


def draw_recording(recording: Recording) -> Figure:
    """Return a figure: a strip of labels on top, one panel a sensor below, one time axis."""
    sensors = list(dict.fromkeys(channel.sensor for channel in recording.channels))
    figure = Figure(figsize=(WIDTH_IN, 1.7 + 2.6 * len(sensors)), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.12))
    FigureCanvasAgg(figure)
    strip, *panels = figure.subplots(
        1 + len(sensors), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": [0.3] + [2.6] * len(sensors)}
    )[:, 0]
    in_minutes = recording.duration_s > _MINUTES_FROM_S
    per_unit = recording.rate_hz * (60.0 if in_minutes else 1.0)
    time = np.arange(len(recording.samples)) / per_unit

    for sensor, panel in zip(sensors, panels, strict=True):
        _draw_sensor(panel, recording, sensor, time)
    _draw_labels(strip, panels, recording, per_unit)
    axes = dict.fromkeys(channel.axis for channel in recording.channels)
    handles = [Line2D([], [], color=_axis_colour(i), linewidth=2.5, label=axis) for i, axis in enumerate(axes)]
    strip.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(axes), frameon=False, handlelength=1.2
    )
    panels[-1].set_xlabel("time (min)" if in_minutes else "time (s)")
    panels[-1].set_xlim(0, len(time) / per_unit)
    strip.set_title(
        f"{recording.name}   person {recording.subject}, {_duration(recording.duration_s)} at {recording.rate_hz:g} Hz",
        loc="left",
        fontsize=13,
        fontweight="bold",
    )
    return figure


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def _axis_colour(position: int) -> str:
    return AXIS_COLOURS[position % len(AXIS_COLOURS)]


def _draw_sensor(panel: Any, recording: Recording, sensor: str, time: NDArray[np.float64]) -> None:
    members = [(i, channel) for i, channel in enumerate(recording.channels) if channel.sensor == sensor]
    for position, (i, _) in enumerate(members):
        panel.plot(time, recording.samples[:, i], color=_axis_colour(position), linewidth=0.6, alpha=0.9)
    first = members[0][1]
    title = " ".join(filter(None, [first.device, _SENSOR_TITLES.get(first.quantity, first.quantity)]))
    panel.set_ylabel(f"{title} ({first.unit})")
    panel.grid(axis="y", color="#999999", alpha=0.35, linewidth=0.5)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_labels(strip: Any, panels: list[Any], recording: Recording, per_unit: float) -> None:
    strip.set_yticks([])
    strip.spines[["top", "right", "left", "bottom"]].set_visible(False)
    strip.tick_params(bottom=False, labelbottom=False)
    labels = np.full(len(recording.samples), UNLABELLED) if recording.labels is None else recording.labels
    for label, start, stop in label_stretches(labels):
        colour = LABEL_COLOURS[label % len(LABEL_COLOURS)]
        strip.axvspan(start / per_unit, stop / per_unit, color=colour, linewidth=0)
        name = recording.label_names[label]
        if (stop - start) / len(labels) * WIDTH_IN > _INCHES_A_LETTER * len(name):
            strip.text((start + stop) / 2 / per_unit, 0.5, name, ha="center", va="center_baseline", fontsize=8)
        for panel in panels:
            panel.axvspan(start / per_unit, stop / per_unit, color=colour, alpha=0.22, linewidth=0)
    present = [int(label) for label in np.unique(labels)]
    handles = [
        Patch(facecolor="white", edgecolor="#999999", label="unlabelled")
        if label == UNLABELLED
        else Patch(color=LABEL_COLOURS[label % len(LABEL_COLOURS)], label=recording.label_names[label])
        for label in (*(p for p in present if p != UNLABELLED), *(p for p in present if p == UNLABELLED))
    ]
    strip.figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 7), fontsize=10, frameon=False
    )


def render_recording(recording: Recording, file_format: str) -> bytes:
    """Return the figure as the bytes of a ``png``, ``svg`` or ``pdf`` file.

    Raises:
        DataError: another format is asked for.
    """
    if file_format not in ("png", "svg", "pdf"):
        raise DataError(
            f"a plot cannot be written as {file_format or 'a file without ending'!r}; use .png, .svg or .pdf"
        )
    stream = io.BytesIO()
    draw_recording(recording).savefig(stream, format=file_format)
    return stream.getvalue()
