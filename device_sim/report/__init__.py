"""The report: one HTML file that needs nothing else, from one simulation.

No network, no fonts, no images: inline SVG drawn by the files beside this one, ``style.css`` and ``script.js``
inside the page. A content security policy names the script by its hash, so nothing that came with the data runs.
The same result gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from device_sim.report import (
    confusion,
    device_cost,
    engines,
    events,
    examples,
    footprint,
    heads,
    histogram,
    palette,
    provenance,
    reading,
    subjects,
    timeline,
    verdict,
)
from device_sim.report.figures import number
from device_sim.report.markup import text
from device_sim.results import SimulationResult
from edgehar.files import write_atomic

__all__ = ["render", "write"]


def render(
    result: SimulationResult,
    *,
    extra_results: Sequence[SimulationResult] = (),
    profile: Mapping[str, Any] | None = None,
) -> str:
    """Return the whole page as one HTML5 document.

    Args:
        result: the run to show. Parts it does not have (labels, baseline, histograms) are named as missing.
        extra_results: the same bundle on other engines, for the comparison.
        profile: ``profile.json`` of the bundle on a board, for what each layer costs there.
    """
    summary = result.summary
    shown = palette.activities(result.labels)
    rate_hz = _rate_hz(result)
    sections = [
        timeline.section_html(result.traces, shown, result.window, result.hop),
        confusion.section_html(summary, shown),
        events.section_html(summary),
        heads.section_html(summary),
        examples.section_html(summary, result.examples, result.channels, shown),
        histogram.section_html(summary, verdict.sample_period_us(rate_hz)),
        device_cost.section_html(profile, summary),
        engines.section_html([summary, *(other.summary for other in extra_results)]),
        subjects.section_html(summary),
        footprint.section_html(summary),
        reading.section_html(summary),
        provenance.section_html(summary),
    ]
    head = verdict.section_html(summary, result.window, result.hop, rate_hz)
    title = f"{summary.get('bundle_name') or 'simulation'} on {summary.get('engine') or 'a device'}"
    return _document(
        title,
        palette.css(shown),
        "\n".join([head, _contents(bool(heads.several(summary)), bool(extra_results), profile is not None), *sections]),
    )


def write(
    path: Path,
    result: SimulationResult,
    *,
    extra_results: Sequence[SimulationResult] = (),
    profile: Mapping[str, Any] | None = None,
) -> None:
    """Write :func:`render` to ``path``: the old page or the whole new one, never a part.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    write_atomic(path, render(result, extra_results=extra_results, profile=profile).encode("utf-8"))


def _rate_hz(result: SimulationResult) -> float | None:
    rate = number(result.traces[0].rate_hz if result.traces else result.summary.get("rate_hz"))
    return rate if rate and rate > 0 else None


def _contents(with_heads: bool, with_engines: bool, with_board: bool) -> str:
    links = {"timeline": "Timeline", "confusion": "Confusion", "events": "Events"}
    links |= {"heads": "Heads"} if with_heads else {}
    links |= {"examples": "Differences", "latency": "Latency"}
    links |= {"board": "On the board"} if with_board else {}
    links |= {"engines": "Engines"} if with_engines else {}
    links |= {"people": "People", "footprint": "Size", "reading": "How to read", "provenance": "Provenance"}
    items = "".join(f'<li><a href="#{anchor}">{name}</a></li>' for anchor, name in links.items())
    return f'<nav aria-label="Sections"><ul>{items}</ul></nav>'


def _document(title: str, colours: str, body: str) -> str:
    folder = files(__name__)
    style = folder.joinpath("style.css").read_text("utf-8").strip()
    script = folder.joinpath("script.js").read_text("utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>\n{style}\n{colours}\n</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#timeline">Skip to the timeline</a>\n<main>\n{body}\n</main>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )
