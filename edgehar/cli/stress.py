"""``edgehar stress``: how much of each fault a bundle stands, and where it breaks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgehar.files import output_file

if TYPE_CHECKING:
    from rich.console import Group

    from device_sim.stress import Cell, CellStore
    from edgehar.bundle import Bundle
    from edgehar.recording import Recording


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    from edgehar.cli.simulate import add_recording_options

    parser = subparsers.add_parser("stress", help="say how much of each fault a bundle stands", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", help="bundle folder or zoo:NAME")
    parser.add_argument(
        "--faults",
        default="",
        metavar="NAMES",
        help="drop,turn,... at their own severities, or FILE.toml with a table [faults] of lists (default: all)",
    )
    parser.add_argument("--engines", default="litert", metavar="E[,E...]", help="default: litert")
    parser.add_argument("--seeds", default="0,1,2", metavar="N[,N...]", help="default: 0,1,2")
    add_recording_options(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="finished cells are kept there; the same command goes on"
    )
    parser.add_argument("--json", type=output_file, metavar="FILE", help="default: DIR/stress.json")
    parser.add_argument("--figure", type=output_file, metavar="FILE", help="PNG or SVG, by its suffix")


def severities_of(text: str) -> dict[str, tuple[float, ...]]:
    """Return the severities of each fault that an option names, in the order of ``FAULTS``.

    Raises:
        UsageError: an unknown fault, or a severity that it does not take.
    """
    from device_sim.faults import FAULTS
    from device_sim.faults.spec import check_name, read_severity, read_table

    if text.endswith(".toml"):
        table = read_table(Path(text))
        asked = {
            name: tuple(read_severity(name, each) for each in (value if isinstance(value, list) else [value]))
            for name, value in table.items()
        }
    else:
        names = [name.strip() for name in text.split(",")] if text else list(FAULTS)
        for name in names:
            check_name(name)
        asked = {name: FAULTS[name].severities for name in names}
    return {name: tuple(dict.fromkeys(asked[name])) for name in FAULTS if name in asked}


def work(
    bundle: Bundle, recordings: Sequence[Recording], cells: Sequence[Cell], store: CellStore
) -> dict[Cell, Mapping[str, Any]]:
    """Run the cells that are missing, each kept as soon as it is finished; return the figures of all."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from device_sim.stress import run_cell

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    done: dict[Cell, Mapping[str, Any]] = {}
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=len(cells))
        for cell in cells:
            bar.update(task, description=f"{cell.engine} {cell.fault} {cell.severity:g}")
            figures = store.read(cell)
            if figures is None:
                figures = run_cell(bundle, recordings, cell)
                store.write(cell, figures)
            done[cell] = figures
            bar.advance(task)
    return done


def stress_tables(summary: Mapping[str, Any]) -> Group:
    """Return one row a fault: where it breaks the bundle, and what is right at each severity."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Table | Text] = []
    for clean in summary["fault_free"]:
        engine = clean["engine"]
        words = [("right", clean["right"]), ("event F1 where labelled", clean["event_f1_where_labelled"])]
        figures = ", ".join(f"{name} {_percent(value)}" for name, value in words)
        parts.append(Text(f"{summary['bundle_name']} on {engine}, {len(summary['subjects'])} people: {figures}"))
        table = Table("fault", "unit", "breaks at", "right at each severity", box=None, padding=(0, 2, 0, 0))
        for row in summary["faults"]:
            if row["engine"] != engine:
                continue
            breaks = "–" if row["breaks_at"] is None else f"{row['breaks_at']:g}"
            table.add_row(row["fault"], row["unit"], breaks, Text(_at_each(row["severities"])))
        parts.append(table)
    rule = summary["rule"]["drop_points"]
    parts.append(
        Text(
            "right: windows decided right of those without a fault, mean over the seeds; breaks at: first severity at "
            f"which that is more than {rule:g} points lower",
            style="dim",
        )
    )
    return Group(*parts)


def _at_each(rows: Iterable[Mapping[str, Any]]) -> str:
    return "  ".join(f"{row['severity']:g}: {_percent((row['right'] or {}).get('mean'))}" for row in rows)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def run(args: argparse.Namespace) -> int:
    """Run what is missing of the matrix, print and write all of it."""
    from rich.console import Console

    from device_sim.engines import ENGINES
    from device_sim.stress import CellStore, key_of, plan_cells, stress_summary
    from edgehar.bundle import Bundle
    from edgehar.cli.held_out import choose_recordings
    from edgehar.cli.simulate import shorten
    from edgehar.errors import UsageError
    from edgehar.files import write_json

    faults = severities_of(args.faults)
    engines = list(dict.fromkeys(args.engines.split(",")))
    unknown = [engine for engine in engines if engine not in ENGINES]
    if unknown:
        raise UsageError(f"unknown engine {unknown[0]!r}, expected one of {', '.join(ENGINES)}")
    seeds = _seeds(args.seeds)
    if args.figure and args.figure.suffix not in (".png", ".svg"):
        raise UsageError(f"--figure {args.figure}: expected a name that ends in .png or .svg")
    bundle = Bundle.open(args.bundle)
    chosen, which = choose_recordings(bundle, args.recordings, args.subjects, resample=args.resample)
    recordings = shorten(chosen, args.seconds)
    key = key_of(bundle, recordings)
    store = CellStore(args.out / "cells", key, bundle)
    cells = plan_cells(faults, engines, seeds)
    kept = sum(1 for _ in store.finished(cells))
    console = Console()
    console.print(f"{len(cells)} runs of {which}{f', {kept} of them finished before' if kept else ''}")
    try:
        done = work(bundle, recordings, cells, store)
    except KeyboardInterrupt:
        sys.stderr.write("edgehar: the same command goes on where this stopped\n")
        raise
    summary = stress_summary(bundle, recordings, key, done)
    write_json(args.json or args.out / "stress.json", summary)
    if args.figure:
        from edgehar.cli.stress_figure import draw

        draw(summary, args.figure)
    console.print(stress_tables(summary))
    return 0


def _seeds(text: str) -> list[int]:
    from edgehar.errors import UsageError

    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"--seeds {text!r}: expected whole numbers and commas, as 0,1,2")
    return list(dict.fromkeys(int(part) for part in parts))
