"""The table of two minutes in real time, on a host that is idle and on one that has other work.

edgehar simulate zoo:ds_cnn --realtime --subjects 2 --seconds 60 --json docs/results/realtime.json
"""

from __future__ import annotations

from typing import Any

ROWS = {
    "response": "from the moment a sample was due to the end of its push",
    "wake_up": "of that, the host waking up late",
    "total": "a push that completes a window",
    "sample": "a push that completes none",
}


def table(idle: dict[str, Any], busy: dict[str, Any]) -> str:
    """Return p50, p99 and max in milliseconds of both runs."""
    runs = (idle, busy)
    lines = ["| | idle host | beside other work |", "|---|---:|---:|"]
    lines.append(_row(f"of {idle['samples']:,} samples, late for the next", [str(r["deadline_misses"]) for r in runs]))
    for stage, words in ROWS.items():
        figures = [[run["latency_us"][stage][key] / 1e3 for key in ("p50", "p99", "max")] for run in runs]
        lines.append(_row(f"{words}, ms: p50 / p99 / max", [" / ".join(f"{x:.2f}" for x in each) for each in figures]))
    return "\n".join(lines) + "\n"


def _row(words: str, cells: list[str]) -> str:
    return f"| {words} | {' | '.join(cells)} |"
