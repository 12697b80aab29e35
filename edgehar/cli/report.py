"""``edgehar report``: simulate a bundle on one or more engines and write one self-contained HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgehar.files import output_file


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    from edgehar.cli.simulate import add_board_option, add_recording_options

    parser = subparsers.add_parser("report", help="write a self-contained HTML report", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="bundle folder or zoo:NAME")
    parser.add_argument(
        "-o", "--out", type=output_file, default=Path("report.html"), help="file to write (report.html)"
    )
    parser.add_argument(
        "--engines", default="litert", metavar="E[,E...]", help="the first is shown in full, the others compared"
    )
    add_recording_options(parser)
    add_board_option(parser)
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write the first engine's summary.json")


def run(args: argparse.Namespace) -> int:
    """Simulate on every engine and write the page."""
    from rich.console import Console

    from device_sim import report
    from device_sim.simulate import write_summary
    from edgehar.bundle import Bundle
    from edgehar.cli.held_out import choose_recordings
    from edgehar.cli.simulate import cost_on_board, shorten, simulate_with_progress, with_energy
    from edgehar.cli.tables import summary_table
    from edgehar.errors import UsageError

    bundle = Bundle.open(args.bundle)
    recordings, which = choose_recordings(bundle, args.recordings, args.subjects, resample=args.resample)
    chosen = shorten(recordings, args.seconds)
    names = [name for name in args.engines.split(",") if name]
    if not names:
        raise UsageError("--engines names no engine; give at least one, for example --engines litert,tflm")
    profile = cost_on_board(bundle, args.board)
    results = [simulate_with_progress(bundle, chosen, name, board=args.board) for name in names]
    first, *others = [with_energy(result, profile) for result in results]
    report.write(args.out, first, extra_results=others, profile=profile)
    if args.json:
        write_summary(args.json, first)
    console = Console()
    console.print(f"replayed {which}")
    console.print(summary_table(first.summary))
    console.print(f"report: {args.out} ({args.out.stat().st_size / 1000:.0f} kB, opens in any browser, no network)")
    return 0
