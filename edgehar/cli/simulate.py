"""``edgehar simulate``: recordings through the simulated device, sample by sample."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgehar.files import output_file

if TYPE_CHECKING:
    from device_sim.faults import FaultSpec
    from device_sim.results import SimulationResult
    from edgehar.bundle import Bundle
    from edgehar.recording import Recording


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    from device_sim.__main__ import add_trust_options

    parser = subparsers.add_parser("simulate", help="replay recordings through a device engine", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="bundle folder, packed file or zoo:NAME")
    add_trust_options(parser)
    parser.add_argument("--engine", default="litert", help="on-device interpreter (default: litert)")
    add_recording_options(parser)
    add_board_option(parser)
    parser.add_argument("--realtime", action="store_true", help="really wait one sample period between samples")
    add_fault_options(parser)
    add_decision_option(parser)
    parser.add_argument("--report", type=output_file, metavar="FILE", help="also write the HTML report")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write summary.json")


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is replayed."""
    parser.add_argument(
        "--recordings", type=Path, nargs="+", default=[], metavar="CSV", help="own files (default: held-out people)"
    )
    parser.add_argument("--subjects", nargs="+", default=[], metavar="ID", help="only these held-out people")
    parser.add_argument("--resample", action="store_true", help="bring files of another rate to the bundle's")
    parser.add_argument("--seconds", type=float, metavar="S", help="replay only the first S seconds of each recording")


def add_board_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that asks for a board's time and energy beside the run."""
    parser.add_argument(
        "--board",
        metavar="B",
        help="also what the bundle's firmware costs on board B, modelled (docs/emulator.md); with --engine cortex_m "
        "the latencies are that board's",
    )


def cost_on_board(bundle: Bundle, name: str | None) -> dict[str, Any] | None:
    """Return ``profile.json`` of the bundle's firmware on a board as plain data; None where no board was asked for.

    Raises:
        UsageError: no board has that name, or the bundle's recipe has no form in C.
    """
    from device_sim.emulator.boards import board_of
    from edgehar.cli.networks import DEFAULT_WINDOWS, cost_on, network_of_bundle

    if name is None:
        return None
    board = board_of(name)
    return cost_on(network_of_bundle(bundle, DEFAULT_WINDOWS), board, "zig")


def with_energy(result: SimulationResult, profile: Mapping[str, Any] | None) -> SimulationResult:
    """Return the run with ``energy`` of the profile's board, unless its engine modelled a board itself."""
    from dataclasses import replace

    from device_sim.emulator.boards import board_of
    from device_sim.emulator.summary import energy_summary

    if profile is None or result.summary["energy"] is not None:
        return result
    whole = profile["pipeline"] or profile
    energy = energy_summary(board_of(profile["board"]), whole["latency_ms"], profile["hop_s"])
    return replace(result, summary={**result.summary, "energy": energy})


def board_for(engine: str, board: str | None) -> str | None:
    """Return the board whose time an engine is to model: none where it models none."""
    from device_sim.engines import ENGINES

    return board if engine in ENGINES and ENGINES[engine].modelled else None


def add_fault_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what goes wrong."""
    parser.add_argument(
        "--faults", metavar="SPEC", help="what goes wrong, as drop:0.05,jitter:5ms or FILE.toml (docs/faults.md)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the faults (default: 0)")


def add_decision_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that takes another decision stage than the bundle's."""
    parser.add_argument(
        "--decision",
        metavar="SPEC",
        help="another decision stage than the bundle's, as none, ema:0.6, majority:5, hmm:lag=2 "
        "(docs/decision_stage.md)",
    )


def decided_by(bundle: Bundle, decision: str | None) -> Bundle:
    """Return the bundle with the decision stage asked for, not written; itself where none was.

    Raises:
        UsageError: there is no such stage, or the bundle has not what it needs.
    """
    from dataclasses import replace

    from device_sim.decisions.wish import parse_decision

    if decision is None:
        return bundle
    manifest = bundle.manifest
    return replace(bundle, manifest=replace(manifest, decision=parse_decision(decision).of(manifest.decision)))


def shorten(recordings: Sequence[Recording], seconds: float | None) -> tuple[Recording, ...]:
    """Return the recordings cut to their first ``seconds``; None leaves them whole."""
    from edgehar.errors import UsageError

    if seconds is None:
        return tuple(recordings)
    if not seconds > 0:
        raise UsageError(f"--seconds is {seconds}, expected more than 0")
    return tuple(r.cut(0, max(1, round(seconds * r.rate_hz))) for r in recordings)


def simulate_with_progress(
    bundle: Bundle,
    recordings: Sequence[Recording],
    engine: str,
    *,
    realtime: bool = False,
    board: str | None = None,
    faults: Sequence[FaultSpec] = (),
    seed: int = 0,
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

        return simulate(
            bundle,
            recordings,
            engine,
            board=board_for(engine, board),
            realtime=realtime,
            progress=show,
            faults=faults,
            seed=seed,
        )


def run(args: argparse.Namespace) -> int:
    """Simulate, print the summary, write what was asked for."""
    from rich.console import Console

    from device_sim import report
    from device_sim.faults import read_faults
    from device_sim.simulate import write_summary
    from edgehar.cli.held_out import choose_recordings
    from edgehar.cli.tables import summary_table
    from edgehar.errors import UsageError
    from edgehar.signing import open_bundle

    faults = read_faults(args.faults) if args.faults else ()
    if args.seed < 0:
        raise UsageError(f"--seed is {args.seed}, expected 0 or more")
    bundle = decided_by(open_bundle(args.bundle, args.key, args.min_release), args.decision)
    recordings, which = choose_recordings(bundle, args.recordings, args.subjects, resample=args.resample)
    profile = cost_on_board(bundle, args.board)
    chosen = shorten(recordings, args.seconds)
    result = simulate_with_progress(
        bundle, chosen, args.engine, realtime=args.realtime, board=args.board, faults=faults, seed=args.seed
    )
    result = with_energy(result, profile)
    console = Console()
    console.print(f"replayed {which}")
    console.print(summary_table(result.summary))
    if args.json:
        write_summary(args.json, result)
    if args.report:
        report.write(args.report, result, profile=profile)
        console.print(f"report: {args.report}")
    return 130 if result.summary["interrupted"] else 0
