"""What time stamps and the resampler are worth: the same faults with and without them.

    python tools/bench/without_stamps.py zoo:ds_cnn --json FILE

With: the samples carry stamps and pass the device's resampler, as in ``edgehar simulate --faults``. Without: the
device takes every sample that arrives for the next of the steady rate. ``right`` is the share of the windows without a
fault that are decided right; the truth of either follows the samples.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest import mock

import numpy as np

from device_sim.faults import Disturbed, Piece, disturb, parse_faults
from device_sim.faults.chain import FaultChain
from device_sim.faults.replay import taken_of
from device_sim.faults.taken import Setting, join
from device_sim.simulate import simulate
from edgehar.bundle import Bundle
from edgehar.cli.held_out import choose_recordings
from edgehar.files import write_json

FAULTS = ["drop:0.05", "drop:0.2", "burst:0.2", "duplicate:0.05", "duplicate:0.5", "reorder:0.5", "rate:0.8", "rate:2"]
COUNTS = dict.fromkeys(("late", "duplicates", "interpolated", "breaks", "reboots"), 0)


def counted(recording, faults, seed):
    """As ``disturb``, for a device that counts samples."""
    chain = FaultChain(faults, Setting(recording.rate_hz, recording.channels), seed, recording.name)
    whole = taken_of(recording)
    taken = join([chain.push(whole), chain.finish(whole.rows(slice(0, 0)))])
    rows = np.rint(taken.true_us * recording.rate_hz / 1e6).astype(np.int64).clip(0, len(recording.samples) - 1)
    return Disturbed((Piece(0, taken.samples),), rows, chain.touched, COUNTS)


def table(found):
    """Return the rows in Markdown, both ways of a fault side by side."""
    by_way = {(row["fault"], row["way"]): row for row in found["rows"]}
    lines = [
        f"| fault | with stamps: right | event F1 | counted: right | event F1 | windows of {found['windows']:,} |",
        "|---|---|---|---|---|---|",
    ]
    for fault in dict.fromkeys(row["fault"] for row in found["rows"]):
        ways = [by_way[fault, way] for way in ("stamps", "counted")]
        scores = " | ".join(f"{100 * row['right']:.1f} % | {100 * row['event_f1']:.1f} %" for row in ways)
        lines.append(f"| `{fault}` | {scores} | {ways[1]['windows']:,} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    recordings, which = choose_recordings(bundle, [], [])
    clean = simulate(bundle, recordings).summary["windows"]
    rows = []
    print(f"{bundle.manifest.name}, {which}")
    for spec in FAULTS:
        for way, prepare in (("stamps", disturb), ("counted", counted)):
            with mock.patch("device_sim.simulate.disturb", prepare):
                summary = simulate(bundle, recordings, faults=parse_faults(spec)).summary
            right = summary["accuracy"] * summary["windows"] / max(clean, summary["windows"])
            event_f1 = summary["events"]["f1_where_labelled"]
            rows.append(
                {"fault": spec, "way": way, "right": right, "windows": summary["windows"], "event_f1": event_f1}
            )
            print(rows[-1], flush=True)
    found = {"bundle_sha256": bundle.sha256, "windows": clean, "rows": rows}
    print(table(found))
    if options.json:
        write_json(options.json, found)


if __name__ == "__main__":
    main()
