"""``edgehar simulate``: recordings through the simulated device, sample by sample."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_sim.results import SimulationResult
    from edgehar.bundle import Bundle
    from edgehar.recording import Recording


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("simulate", help="replay recordings through a device engine", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="bundle folder or zoo:NAME")
    parser.add_argument("--engine", default="litert", help="on-device interpreter (default: litert)")
    add_recording_options(parser)
    parser.add_argument("--realtime", action="store_true", help="really wait one sample period between samples")
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write the HTML report")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write summary.json")


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is replayed."""
    parser.add_argument(
        "--recordings", type=Path, nargs="+", default=[], metavar="CSV", help="own files (default: held-out people)"
    )
    parser.add_argument("--subjects", nargs="+", default=[], metavar="ID", help="only these held-out people")
    parser.add_argument("--resample", action="store_true", help="bring files of another rate to the bundle's")
    parser.add_argument("--seconds", type=float, metavar="S", help="replay only the first S seconds of each recording")


def shorten(recordings: Sequence[Recording], seconds: float | None) -> tuple[Recording, ...]:
    """Return the recordings cut to their first ``seconds``; None leaves them whole."""
    from edgehar.errors import UsageError

    if seconds is None:
        return tuple(recordings)
    if not seconds > 0:
        raise UsageError(f"--seconds is {seconds}, expected more than 0")
    return tuple(r.cut(0, max(1, round(seconds * r.rate_hz))) for r in recordings)


def simulate_with_progress(
    bundle: Bundle, recordings: Sequence[Recording], engine: str, *, realtime: bool = False
) -> SimulationResult:
    """Simulate behind a progress bar when somebody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from device_sim.simulate import simulate

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(engine, total=1.0)

        def show(recording: str, share: float) -> None:
            bar.update(task, completed=share, description=f"{engine} {recording}")

        return simulate(bundle, recordings, engine, realtime=realtime, progress=show)


def run(args: argparse.Namespace) -> int:
    """Simulate, print the summary, write what was asked for."""
    from rich.console import Console

    from device_sim import report
    from device_sim.simulate import write_summary
    from edgehar.bundle import Bundle
    from edgehar.cli.held_out import choose_recordings
    from edgehar.cli.tables import summary_table

    bundle = Bundle.open(args.bundle)
    recordings, which = choose_recordings(bundle, args.recordings, args.subjects, resample=args.resample)
    result = simulate_with_progress(bundle, shorten(recordings, args.seconds), args.engine, realtime=args.realtime)
    console = Console()
    console.print(f"replayed {which}")
    console.print(summary_table(result.summary))
    if args.json:
        write_summary(args.json, result)
    if args.report:
        report.write(args.report, result)
        console.print(f"report: {args.report}")
    return 130 if result.summary["interrupted"] else 0
