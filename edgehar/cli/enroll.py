"""``edgehar enroll``: teach a bundle a new label from recordings of it, without training."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgehar.files import output_file

if TYPE_CHECKING:
    from edgehar.manifest import Manifest

RECOGNISED = 0.5  # share of the enrolled windows below which the user is told


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("enroll", help="teach a bundle a new label from recordings", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="bundle folder or zoo:NAME whose network has an embedding")
    parser.add_argument("--recordings", type=Path, nargs="+", required=True, metavar="CSV", help="of the new activity")
    parser.add_argument("--label", required=True, metavar="NAME", help="what to call it")
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE", help="folder of the new bundle")
    parser.add_argument("--engine", default="litert", help="on-device interpreter (default: litert)")
    parser.add_argument(
        "--margin", type=float, default=0.05, metavar="COSINE",
        help="how much more like the new label than like a known one a window has to be, beyond what any known "
        "window is (default: 0.05)",
    )  # fmt: skip
    parser.add_argument("--resample", action="store_true", help="bring files of another rate to the bundle's")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Enrol and print what was learned. Without rich, so that it runs where only the device's packages are."""
    from device_sim.enroll import check_request, enroll
    from device_sim.sources import read_csv
    from edgehar.bundle import Bundle
    from edgehar.cli.rewriting import firmware_writer
    from edgehar.files import write_json

    bundle = Bundle.open(args.bundle)
    check_request(bundle, args.label, args.out, args.margin)
    recordings = [
        read_csv(path, bundle.manifest, resample=args.resample, also=(args.label,)) for path in args.recordings
    ]

    def origin(manifest: Manifest) -> str:
        return f"{manifest.name} with {manifest.enrolled[-1].label}, enrolled in the bundle {bundle.sha256}"

    done = enroll(bundle, recordings, args.label, args.out, engine=args.engine, margin=args.margin,
                  firmware=firmware_writer(bundle, origin))  # fmt: skip
    before = ", ".join(f"{name} {100 * share:.0f} %" for name, share in done.before.items())
    lines = [
        f"{args.out}: knows {', '.join(done.bundle.manifest.announced.labels)}",
        f"{done.label!r} from {done.windows} windows, which the network alone calls {before}",
        f"{100 * done.recognised:.0f} % of these windows now get the label (score over {done.threshold:.3f})",
    ]
    if done.recognised < RECOGNISED:
        lines.append("it is much like a known activity: most of its windows stay what the network says")
    sys.stdout.write("\n".join(lines) + "\n")
    if args.json:
        figures = {"label": done.label, "windows": done.windows, "recognised": done.recognised,
                   "before": done.before, "threshold": done.threshold, "engine": args.engine,
                   "bundle_sha256": done.bundle.sha256, "from_sha256": bundle.sha256}  # fmt: skip
        write_json(args.json, figures)
    return 0
