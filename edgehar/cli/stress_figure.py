"""A stress matrix as a picture: one small panel a fault, figures against severity, a line where the bundle breaks."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLUMNS = 4
PANEL_IN = (3.3, 2.3)
DPI = 110
LINES = {
    "right": ("#0072B2", "windows right, of those without a fault"),
    "event_f1_where_labelled": ("#D55E00", "event F1 where labelled"),
}
BREAK = "#555555"


def draw(summary: Mapping[str, Any], path: Path) -> None:
    """Write the picture of a matrix's first engine, whole or not at all; the suffix says PNG or SVG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from edgehar.files import write_atomic

    clean = summary["fault_free"][0]
    rows = [row for row in summary["faults"] if row["engine"] == clean["engine"]]
    lines = -(-len(rows) // COLUMNS)
    size = (PANEL_IN[0] * COLUMNS, PANEL_IN[1] * lines + 1)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, COLUMNS, squeeze=False, sharey=True).ravel()
    for panel, row in zip(panels, rows, strict=False):
        _panel(panel, row, clean)
    for panel in panels[len(rows) :]:
        panel.set_axis_off()
    for panel in panels[::COLUMNS]:
        panel.set_ylabel("%", fontsize=8)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower right", ncols=len(names), frameon=False)
    rule = summary["rule"]["drop_points"]
    figure.suptitle(
        f"{summary['bundle_name']} on {clean['engine']}, {len(summary['subjects'])} people: mean, lowest and highest "
        f"of the seeds\ndotted: without a fault; dashed: more than {rule:g} points fewer windows right",
        fontsize=10,
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix.removeprefix("."))
    write_atomic(path, buffer.getvalue())


def _panel(panel: Any, row: Mapping[str, Any], clean: Mapping[str, Any]) -> None:
    severities = [each["severity"] for each in row["severities"]]
    places = range(1, len(severities) + 1)
    for name, (colour, label) in LINES.items():
        found = [(x, each[name]) for x, each in zip(places, row["severities"], strict=True) if each[name] is not None]
        start = [] if clean[name] is None else [(0, {"mean": clean[name], "low": clean[name], "high": clean[name]})]
        points = [*start, *found]
        if not points:
            continue
        xs = [x for x, _ in points]
        mean, low, high = ([100 * spread[part] for _, spread in points] for part in ("mean", "low", "high"))
        panel.fill_between(xs, low, high, color=colour, alpha=0.2, linewidth=0)
        panel.plot(xs, mean, color=colour, marker="o", markersize=3, linewidth=1.4, label=label)
        if start:
            panel.axhline(100 * clean[name], color=colour, linewidth=0.8, linestyle=":")
    if row["breaks_at"] is not None:
        panel.axvline(1 + severities.index(row["breaks_at"]), color=BREAK, linewidth=1, linestyle="--")
    panel.set_xticks([0, *places], ["none", *(f"{severity:g}" for severity in severities)], fontsize=7)
    panel.set_title(f"{row['fault']} ({row['unit']})", fontsize=9)
    panel.set_ylim(0, 103)
    panel.tick_params(axis="y", labelsize=7)
    panel.grid(axis="y", linewidth=0.4, alpha=0.5)
    panel.spines[["top", "right"]].set_visible(False)
