"""``edgehar zoo``: the small trained bundles that ship with the package."""

from __future__ import annotations

import argparse
from typing import Any

from edgehar.files import output_file


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("zoo", help="list the bundles that ship with the package", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="one row a bundle")
    listing.add_argument("--json", type=output_file, metavar="FILE", help="also write it as JSON")


def zoo_rows() -> list[dict[str, Any]]:
    """Return one plain record a bundle; opening verifies every file."""
    from edgehar.bundle import ZOO_PREFIX, Bundle, zoo_names

    rows = []
    for name in zoo_names():
        manifest = Bundle.open(ZOO_PREFIX + name).manifest
        rows.append(
            {
                "name": name,
                "bundle": ZOO_PREFIX + name,
                "model": manifest.model["name"],
                "parameters": manifest.model["parameters"],
                "macs": manifest.model["macs"],
                "model_bytes": manifest.files[manifest.precision.model_file("tflite")].bytes,
                "bundle_bytes": sum(entry.bytes for entry in manifest.files.values()),
                "labels": [list(head.labels) for head in manifest.heads],
                "accuracy": manifest.provenance["verification"][f"{manifest.precision.label}_accuracy"],
                "macro_f1": manifest.provenance["verification"][f"{manifest.precision.label}_macro_f1"],
                "data": manifest.provenance["data"]["dataset"],
                "command": manifest.provenance["command"],
            }
        )
    return rows


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    from edgehar.files import write_json

    rows = zoo_rows()
    table = Table(title="bundles in the package, scored on people nobody trained on")
    table.add_column("bundle", no_wrap=True)
    for column in ("parameters", "MACs", "bytes", "accuracy", "macro-F1"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["bundle"],
            f"{row['parameters']:,}",
            f"{row['macs']:,}",
            f"{row['model_bytes']:,}",
            f"{100 * row['accuracy']:.2f} %",
            f"{100 * row['macro_f1']:.2f} %",
        )
    Console().print(table)
    if args.json:
        write_json(args.json, rows)
    return 0
