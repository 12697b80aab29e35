"""Bytes: the files of the bundle, and what the simulator and its interpreter hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_sim.report.figures import count, mapping, number, size
from device_sim.report.markup import Cell, empty, plain, section, table, text


def section_html(summary: Mapping[str, Any]) -> str:
    """Return both tables, or what is missing."""
    files = _table("Files of the bundle", "File", mapping(summary.get("sizes")))
    memory = _table("Buffers of the simulator and its interpreter", "Part", mapping(summary.get("memory")))
    left = files or empty("The summary lists no files.")
    right = memory or empty("The run did not record memory.")
    body = f'<div class="pair"><div>{left}</div><div>{right}</div></div>'
    return section("footprint", "What it takes to hold it", "", body)


def _table(caption: str, first: str, sizes: Mapping[str, Any]) -> str:
    known = {str(name): value for name, raw in sizes.items() if (value := number(raw)) is not None and value >= 0}
    if not known:
        return ""
    largest = max(known.values()) or 1.0
    rows = [
        [plain(name, "file"), Cell(_bar(name, value, largest), "bar"), plain(size(value)), plain(count(value))]
        for name, value in sorted(known.items(), key=lambda item: (-item[1], item[0]))
    ]
    return table(caption, [first, "Share of the largest", "#Size", "#Bytes"], rows, "footprint")


def _bar(name: str, value: float, largest: float) -> str:
    label = f"{name}: {size(value)}"
    return (
        f'<svg width="100%" height="10" role="img" aria-label="{text(label)}">'
        f'<rect width="{max(100 * value / largest, 0.5):.1f}%" height="10" rx="2"/></svg>'
    )
