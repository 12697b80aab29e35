"""``edgehar fleet``: many devices at once, each with a recording of its own."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgehar.files import output_file

if TYPE_CHECKING:
    from rich.console import Group


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("fleet", help="replay recordings through many devices at once", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="bundle folder or zoo:NAME")
    parser.add_argument("--devices", type=int, default=1000, metavar="N", help="how many (default: 1000)")
    parser.add_argument("--engine", default="litert", help="on-device interpreter (default: litert)")
    parser.add_argument(
        "--recordings", type=Path, nargs="+", default=[], metavar="CSV", help="own files (default: held-out people)"
    )
    parser.add_argument("--subjects", nargs="+", default=[], metavar="ID", help="only these held-out people")
    parser.add_argument("--resample", action="store_true", help="bring files of another rate to the bundle's")
    parser.add_argument(
        "--minutes", type=float, metavar="M", help="of each device, around its recording (default: once around)"
    )
    parser.add_argument("--faults", metavar="SPEC", help="in every device, as for edgehar simulate")
    parser.add_argument("--seed", type=int, default=0, help="of where devices begin, and of faults (default: 0)")
    parser.add_argument(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="processes at a time (default: cores)",
    )
    parser.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="on a Ray cluster; without ADDRESS one is started here",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep parts as they are done; go on there after a stop")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write the summary as JSON")


def fleet_tables(summary: Mapping[str, Any]) -> Group:
    """Return key figures, the accuracy of devices, and the worst of them."""
    from rich.console import Group
    from rich.table import Table

    from device_sim.report.figures import count, percent, size

    run, spread = summary["run"], summary["accuracy_of_devices"]
    key = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    hours = summary["device_seconds"] / 3600
    key.add_row(
        "devices", count(summary["devices"]), f"{hours:,.1f} device-hours, {count(summary['decisions'])} decisions"
    )
    key.add_row("events", count(summary["events"]), f"{summary['events_per_device_hour']:.1f} an hour and device")
    if summary["accuracy"] is not None:
        key.add_row("accuracy", percent(summary["accuracy"]), f"of {count(summary['windows'])} windows with a truth")
    if run["shards_computed"]:
        place = f"{run['processes']} processes" if run["processes"] else "Ray"
        words = f"device-seconds a second: {place}, {run['wall_s']:.1f} s with their start"
        key.add_row("speed", f"{run['device_seconds_per_second']:,.0f} x", words)
        key.add_row("a core", f"{run['device_seconds_per_core_second']:,.0f} x", "that many devices in real time")
    if run["shards_reused"]:
        key.add_row("parts", count(run["shards_reused"]), f"were there already, {run['shards_computed']} computed")
    key.add_row("state", size(summary["state_bytes_per_device"]), "of each device")
    parts = [key]
    if spread is not None:
        table = Table("min", "5 %", "25 %", "median", "75 %", "95 %", "max", "mean", title="Accuracy of devices")
        names = ("min", "p5", "p25", "p50", "p75", "p95", "max", "mean")
        table.add_row(*(percent(spread[name]) for name in names))
        parts.append(table)
    if summary["worst"]:
        table = Table("device", "recording", "subject", "from", "windows", "accuracy", title="Worst devices")
        for row in summary["worst"]:
            figures = f"{row['offset_s']:.1f} s", count(row["windows"]), percent(row["accuracy"])
            table.add_row(str(row["device"]), row["recording"], row["subject"], *figures)
        parts.append(table)
    return Group(*parts)


def run(args: argparse.Namespace) -> int:
    """Run the fleet, print what it adds up to, write what was asked for."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from device_sim.faults.spec import read_faults
    from device_sim.fleet.run import run_fleet
    from edgehar.bundle import Bundle
    from edgehar.cli.held_out import choose_recordings
    from edgehar.files import write_json

    bundle = Bundle.open(args.bundle)
    recordings, which = choose_recordings(bundle, args.recordings, args.subjects, resample=args.resample)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    stderr = Console(stderr=True)
    try:
        with Progress(*columns, TimeRemainingColumn(), console=stderr, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task(f"{args.devices} devices", total=1.0)
            summary = run_fleet(
                bundle,
                recordings,
                args.devices,
                args.engine,
                seconds=None if args.minutes is None else 60 * args.minutes,
                seed=args.seed,
                faults=() if args.faults is None else read_faults(args.faults),
                jobs=args.jobs,
                ray=args.ray,
                out=args.out,
                progress=lambda share: bar.update(task, completed=share),
            )
    except KeyboardInterrupt:
        if args.out:
            sys.stderr.write("edgehar: the same command goes on where this stopped\n")
        raise
    if args.json:
        write_json(args.json, summary)
    console = Console()
    console.print(f"streamed {which}")
    console.print(fleet_tables(summary))
    return 0
