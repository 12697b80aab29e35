"""What an enrolment costs and brings: every held-out person teaches the bundle a label, the others are scored.

The teacher's windows of the label in one recording make the prototype, exactly as ``edgehar enroll`` does. Then, on
the int8 outputs of the on-device interpreter:

- ``lost``: share of the other people's known windows that were decided right before and wrong after, in points;
- ``others``: share of their windows of the new label that get it;
- ``own``: the same for the teacher's other recordings.

    python tools/enrolment.py BUNDLE --labels downstairs --margins 0 0.05 --json FILE [--name NETWORK]

Rows that FILE has of other networks stay in it.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from device_sim.enroll import enroll
from device_sim.prototypes import Prototypes
from device_sim.simulate import simulate
from edgehar.bundle import Bundle
from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.errors import DataError
from edgehar.files import write_json
from edgehar.references import read_references
from edgehar.signal import window_labels

HEAD = (
    "| bundle | new label | margin | teachers, windows each | accuracy before | lost, worst | found in others "
    "| in the teacher's other recording |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def study(bundle: Bundle, labels: list[str], margins: list[float], engine: str) -> list[dict]:
    data = bundle.manifest.provenance["data"]
    recordings = select(load_dataset(data["dataset"]), data["test_subjects"])
    traces = simulate(bundle, recordings, engine).traces
    rows = []
    for label in labels:
        for margin in margins:
            found = [
                _taught(bundle, recordings, traces, i, label=label, margin=margin, engine=engine)
                for i in range(len(recordings))
            ]
            taught = [each for each in found if each is not None]
            if taught:
                rows.append(_row(label, margin, taught))
            print(rows[-1] if taught else f"{label}: nobody has a recording with enough windows of it", flush=True)
    return rows


def _taught(bundle, recordings, traces, teacher, *, label, margin, engine) -> dict | None:
    """Figures of one recording as the teacher's; None where it has too few windows of the label."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            out = Path(folder) / "taught.edgehar"
            done = enroll(bundle, [recordings[teacher]], label, out, engine=engine, margin=margin)
        except DataError:
            return None
    stage = Prototypes(done.bundle.manifest.enrolled, read_references(bundle).embeddings)
    person, known, right, lost, new, own = recordings[teacher].subject, 0, 0, 0, [], []
    for index, (recording, trace) in enumerate(zip(recordings, traces, strict=True)):
        taken = stage.excess(trace.embeddings).max(axis=1) > 0
        place = recording.label_names.index(label)
        of_label = window_labels(recording.labels, bundle.manifest.window, bundle.manifest.hop) == place
        if recording.subject == person:
            own += taken[of_label].tolist() if index != teacher else []
            continue
        new += taken[of_label].tolist()
        correct = (trace.truth >= 0) & (trace.decisions == trace.truth)
        known, right, lost = (
            known + int((trace.truth >= 0).sum()),
            right + int(correct.sum()),
            lost + int((correct & taken).sum()),
        )
    return {"windows": done.windows, "recognised": done.recognised, "known": known, "right": right, "lost": lost,
            "others": float(np.mean(new)), "own": float(np.mean(own)) if own else None}  # fmt: skip


def _row(label: str, margin: float, found: list[dict]) -> dict:
    lost = [100 * each["lost"] / each["known"] for each in found]
    own = [each["own"] for each in found if each["own"] is not None]
    return {
        "label": label,
        "margin": margin,
        "teachers": len(found),
        "windows": float(np.mean([each["windows"] for each in found])),
        "accuracy_before": float(np.mean([each["right"] / each["known"] for each in found])),
        "lost_points": float(np.mean(lost)),
        "lost_points_worst": float(np.max(lost)),
        "others": float(np.mean([each["others"] for each in found])),
        "own": float(np.mean(own)) if own else None,
    }


def table(found: dict[str, Any]) -> str:
    """Return the rows in Markdown."""
    lines = []
    for row in found["rows"]:
        own = "–" if row["own"] is None else f"{100 * row['own']:.1f} %"
        lines.append(
            f"| {row['network']} | {row['label']} | {row['margin']:g} | {row['teachers']}, {row['windows']:.0f} "
            f"| {100 * row['accuracy_before']:.2f} % | {row['lost_points']:.2f}, {row['lost_points_worst']:.2f} "
            f"| {100 * row['others']:.1f} % | {own} |\n"
        )
    return HEAD + "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--labels", nargs="+", required=True)
    parser.add_argument("--margins", type=float, nargs="+", default=[0.0, 0.05])
    parser.add_argument("--engine", default="litert_ref")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--name", metavar="NETWORK", help="what the rows call the bundle (default: BUNDLE)")
    args = parser.parse_args()
    name = args.name or args.bundle
    rows = [{"network": name, **row} for row in study(Bundle.open(args.bundle), args.labels, args.margins, args.engine)]
    if args.json:
        known = json.loads(args.json.read_text("utf-8"))["rows"] if args.json.exists() else []
        kept = [row for row in known if row["network"] != name]
        write_json(args.json, {"engine": args.engine, "rows": kept + rows})


if __name__ == "__main__":
    main()
