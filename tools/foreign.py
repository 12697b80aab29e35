"""Networks of somebody else's: what ``edgehar export --from`` wrote in its reports, side by side.

    python tools/foreign.py keyword anomaly --json docs/results/foreign.json

The folders are what it made of the files of ``tests/foreign_networks.py``: docs/results/foreign.md.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgehar.cli.export import REPORT
from edgehar.files import write_json

ENGINES = {
    "tflm": "TFLite Micro",
    "litert_reference": "LiteRT's reference kernels",
    "litert": "LiteRT (XNNPACK)",
    "onnxruntime": "ONNX Runtime",
    "c": "generated C",
}


def table(found: dict[str, Any]) -> str:
    """Return the networks in Markdown, a column each."""
    heads = [f"{name} ({each['macs']:,} MACs, {each['parameters']:,} parameters)" for name, each in found.items()]
    heads.insert(0, "steps from the numpy reference, equal outputs")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    columns = [dict(_cells(each["verification"])) for each in found.values()]
    lines += [f"| {row} | {' | '.join(column[row] for column in columns)} |" for row in columns[0]]
    return "\n".join(lines) + "\n"


def _cells(verification: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield rows and what stands in them: the stranger's file, then what we made of it."""
    for whose, checks in (("file itself", verification["source"]["engines"]), ("ours", verification["engines"])):
        by_engine = {check["engine"]: check for check in checks}
        for engine in (engine for engine in ENGINES if engine in by_engine):
            check = by_engine[engine]
            yield f"{ENGINES[engine]}, {whose}", f"{check['max_lsb']:.0f}, {100 * check['exact']:.4g} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="made by edgehar export --from")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    write_json(args.json, {folder.name: json.loads((folder / REPORT).read_text("utf-8")) for folder in args.folders})


if __name__ == "__main__":
    main()
