"""Tables of what ``edgehar stress`` found: all faults of one bundle, and bundles side by side that are worn otherwise.

    python tools/stress.py --of zoo:ds_cnn DIR2 --of any.edgehar DIR --json docs/results/stress_mounting.json

DIR: ``--out`` of ``edgehar stress BUNDLE --faults rotation,turn,flip,swap``.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from edgehar.bundle import Bundle
from edgehar.files import write_json

MOUNTINGS = {
    "turned by 45, 90, 180 degrees": ("turn", (45, 90, 180)),
    "rotated at random by up to 45, 90, 180": ("rotation", (45, 90, 180)),
    "two axes swapped": ("swap", (1,)),
    "three flipped": ("flip", (3,)),
}


def faults(found: dict[str, Any]) -> str:
    """Return all faults of a ``stress.json`` in Markdown."""
    lines = ["| fault | unit | breaks at | severity: right | event F1 |", "|---|---|---|---|---|"]
    for fault in found["faults"]:
        breaks = "–" if fault["breaks_at"] is None else f"**{fault['breaks_at']:g}**"
        right = ", ".join(f"{each['severity']:g}: {_percent(each['right']['mean'])}" for each in fault["severities"])
        worst = _percent(fault["severities"][-1]["event_f1_where_labelled"]["mean"])
        lines.append(f"| `{fault['fault']}` | {fault['unit']} | {breaks} | {right} | {worst} |")
    return "\n".join(lines) + "\n"


def mountings(found: list[dict[str, Any]]) -> str:
    """Return bundles with a device that is worn otherwise in Markdown, what is right of each in percent."""
    lines = [f"| bundle, trained with | as recorded | {' | '.join(MOUNTINGS)} |", "|---" * (len(MOUNTINGS) + 2) + "|"]
    for row in found:
        right = [[row["right"][fault][f"{at}"] for at in severities] for fault, severities in MOUNTINGS.values()]
        cells = [", ".join(map(_percent, shares)) for shares in right]
        name = f"`{row['bundle']}`, {row['rotation_deg']:g} degrees"
        lines.append(f"| {name} | {_percent(row['fault_free'])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def mounting(name: str, folder: Path) -> dict[str, Any]:
    """Return what is right of a bundle without a fault and at each severity, the mean over seeds.

    Raises:
        SystemExit: the folder has another bundle's figures.
    """
    bundle, found = Bundle.open(name), json.loads((folder / "stress.json").read_text("utf-8"))
    if found["bundle_sha256"] != bundle.sha256:
        raise SystemExit(f"{folder} has figures of another bundle than {name}; run edgehar stress again")
    return {
        "bundle": name,
        "bundle_sha256": bundle.sha256,
        "rotation_deg": bundle.manifest.provenance["config"]["augmentation"]["rotation_deg"],
        "fault_free": found["fault_free"][0]["right"],
        "right": {
            fault["fault"]: {f"{each['severity']:g}": each["right"]["mean"] for each in fault["severities"]}
            for fault in found["faults"]
        },
    }


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", nargs=2, action="append", required=True, metavar=("BUNDLE", "DIR"))
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    write_json(args.json, [mounting(name, Path(folder)) for name, folder in args.of])


if __name__ == "__main__":
    main()
