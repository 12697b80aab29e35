"""The same bundle on several engines, one row each: the same bits should give the same decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from device_sim.report.figures import count, duration, mapping, number, percent
from device_sim.report.markup import Cell, plain, section, table, text


def section_html(summaries: Sequence[Mapping[str, Any]]) -> str:
    """Return the comparison; the first summary is the page's own. Empty when it is alone."""
    if len(summaries) < 2:
        return ""
    columns = ["Engine", "#Accuracy", "#Agreement", "#Macro-F1", "#p50", "#p99", "#max", "#Misses", "Latency"]
    own = summaries[0].get("bundle_sha256")
    rows = [_row(s, index == 0, s.get("bundle_sha256") == own) for index, s in enumerate(summaries)]
    lead = "Agreement is with the full-precision baseline. Times of engines on different machines do not compare."
    return section(
        "engines", "The same bundle on other engines", lead, table("Engines compared", columns, rows, "figures")
    )


def _row(summary: Mapping[str, Any], own: bool, same_bundle: bool) -> list[Cell]:
    total = mapping(mapping(summary.get("latency_us")).get("total"))
    name = " ".join(str(summary[key]) for key in ("engine", "engine_version") if summary.get(key)) or "unnamed"
    tags = ' <span class="tag">this page</span>' if own else ""
    tags += "" if same_bundle else ' <span class="tag bad">another bundle</span>'
    misses = number(summary.get("deadline_misses"))
    return [
        Cell(text(name) + tags),
        plain(percent(summary.get("accuracy"))),
        plain(percent(summary.get("agreement"), 2)),
        plain(percent(summary.get("macro_f1"))),
        *(plain(duration(total.get(key))) for key in ("p50", "p99", "max")),
        plain(count(misses), "bad" if misses else ""),
        plain(summary.get("latency_kind") or "–"),
    ]
