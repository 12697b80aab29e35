"""Event scores of the bundles in the package on the people held out from them, and of one with debounce alone.

python tools/event_scores.py --json docs/results/event_scores.json
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_sim.simulate import simulate
from edgehar.bundle import Bundle
from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.decision_spec import DecisionSpec
from edgehar.files import write_json

BUNDLES = ("ds_cnn_3k", "ds_cnn", "ds_cnn_30k", "ds_cnn_multitask", "bilstm", "siamese")
DEBOUNCED, DECISIONS = "ds_cnn", (1, 2, 3, 4)
ENGINE = "litert"
HEAD = (
    "| bundle | accuracy, % | event F1, % | where labelled, % | true: C / F / M / FM / D | inserted "
    "| delay p50 / p90 / longest, s | undetected | flips an hour | false alarms an hour |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


def scored(name: str, min_decisions: int | None = None) -> dict[str, Any]:
    """Return the figures of one bundle; with ``min_decisions`` of debounce as its only decision stage if asked for."""
    bundle = Bundle.open(f"zoo:{name}")
    manifest = bundle.manifest
    title = name
    if min_decisions is not None:
        manifest = replace(manifest, decision=DecisionSpec(min_decisions=min_decisions))
        title = f"{name}, windows alone, {min_decisions} in a row"
    data = manifest.provenance["data"]
    recordings = select(load_dataset(data["dataset"]), data["test_subjects"])
    summary = simulate(replace(bundle, manifest=manifest), recordings, ENGINE).summary
    events = {key: value for key, value in summary["events"].items() if not key.startswith("per_")}
    return {
        "bundle": title,
        "bundle_sha256": summary["bundle_sha256"],
        "engine": ENGINE,
        "people": len(summary["subjects"]),
        "hours": round(summary["samples"] / summary["rate_hz"] / 3600, 4),
        "hop_s": summary["hop"] / summary["rate_hz"],
        "accuracy": summary["accuracy"],
        "events": events,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the page's table."""
    lines = []
    for row in rows:
        events = row["events"]
        true, delay = events["true"], events["delay_s"]
        categories = " / ".join(str(count) for count in true.values())
        low, high = (100 * value for value in events["f1_interval"])
        delays = " / ".join(f"{delay[key]:.2f}" for key in ("p50", "p90", "max"))
        cells = [
            row["bundle"],
            f"{100 * row['accuracy']:.1f}",
            f"{100 * events['f1']:.1f} ({low:.1f} to {high:.1f})",
            f"{100 * events['f1_where_labelled']:.1f}",
            categories,
            str(events["announced"]["inserted"]),
            delays,
            str(events["undetected"]),
            f"{events['flips_per_hour']:.0f}",
            f"{events['false_alarms_per_hour']:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(lines)


def main() -> None:
    """Simulate all and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    rows = [scored(name) for name in BUNDLES] + [scored(DEBOUNCED, count) for count in DECISIONS]
    write_json(args.json, rows)


if __name__ == "__main__":
    main()
