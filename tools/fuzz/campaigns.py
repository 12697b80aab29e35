"""What the fuzzers of this folder counted: a list of campaigns in one JSON file, and the tables made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgehar.files import write_json

ACCEPTED = ("read", "graph")  # outcomes that are no refusal


def keep(path: Path, campaign: dict[str, Any]) -> None:
    """Add a campaign to the file, in the place of an older one of the same command."""
    there = {each["command"]: each for each in (json.loads(path.read_text("utf-8")) if path.exists() else [])}
    write_json(path, list({**there, campaign["command"]: campaign}.values()))


def readers(campaigns: list[dict[str, Any]]) -> str:
    """One row a reader of mutated files."""
    lines = [
        "| files | mutated | refused | accepted | anything else | slowest, s | process, MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for each in campaigns:
        if "mutations" not in each:
            continue
        accepted = sum(count for outcome, count in each["outcomes"].items() if outcome in ACCEPTED)
        refused = sum(each["outcomes"].values()) - accepted
        wrong = sum(each["failures"].values())
        lines.append(
            f"| {each['files']} | {each['mutations']:,} | {refused:,} | {accepted:,} | {wrong} | {each['slowest_s']} "
            f"| {each['peak_mib']} |"
        )
    return "\n".join(lines) + "\n"


def graphs(campaigns: list[dict[str, Any]]) -> str:
    """What became of random graphs."""
    (found,) = (each for each in campaigns if "graphs" in each)
    ops = sorted(found["ops"].items(), key=lambda item: item[1])
    rows = {
        "graphs, ops in them": f"{found['graphs']}, {sum(found['ops'].values())}",
        f"rarest and most frequent of all {len(ops)} ops": ", ".join(f"{name} {n}" for name, n in (ops[0], ops[-1])),
        "refused (sums that could leave int32)": sum(found["refused"].values()),
        "runs of a graph: five kinds of kernels and twins under sanitizers, two on the emulated core": sum(
            found["runs"].values()
        ),
        "outputs that differ, findings of the sanitizers, files that do not compile": len(found["failures"]),
    }
    return "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows.items())
