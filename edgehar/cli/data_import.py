"""``edgehar data import``: own files to a data set that every other command takes by its name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgehar.errors import UsageError
from edgehar.files import output_file

if TYPE_CHECKING:
    from rich.console import Console

    from edgehar.datasets.tabular.importing import Import, ImportSettings

PREVIEW = "preview.png"
STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def add_parser(actions: Any) -> None:
    """Register ``import`` among the actions of ``data``."""
    parser = actions.add_parser("import", help="make a data set of your own files", description=__doc__)
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="CSV, TSV, Parquet, NPZ, Edge Impulse; or folders"
    )
    parser.add_argument("--name", required=True, help="of the data set: edgehar run --dataset NAME")
    parser.add_argument("--dry-run", action="store_true", help="say what would be, write nothing")
    parser.add_argument("--plot", type=output_file, metavar="FILE", help="draw a recording here too: .png, .svg, .pdf")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write guesses and problems as JSON")
    said = parser.add_argument_group("said instead of guessed")
    said.add_argument("--time", metavar="COLUMN", help='time of each row; "" for none')
    said.add_argument("--time-unit", metavar="UNIT", help="s, ms, us or ns")
    said.add_argument(
        "--source-rate", type=float, metavar="HZ", help="rows are steady at this rate, whatever their times"
    )
    said.add_argument("--label", metavar="COLUMN", help='activity of each row; "" for none')
    said.add_argument("--label-from", metavar="WHERE", help="folder, file or none, where no column has it")
    said.add_argument(
        "--label-name", action="append", default=[], metavar="VALUE=NAME", help="rename; NAME empty: unlabelled"
    )
    said.add_argument("--subject", metavar="COLUMN", help='person of each row; "" for none')
    said.add_argument("--subject-from", metavar="WHERE", help="folder or file, where no column has it")
    said.add_argument("--recording", metavar="COLUMN", help='session of each row; "" for none')
    said.add_argument(
        "--channel", action="append", default=[], metavar="CHANNEL=COLUMN", help="acc_x=COLUMN; repeat for each"
    )
    said.add_argument(
        "--unit", action="append", default=[], metavar="SENSOR=UNIT", help="acc=g|m/s2|mg, gyro=rad/s|deg/s"
    )
    said.add_argument(
        "--scale", action="append", default=[], metavar="SENSOR=FACTOR", help="acc=0.000061: raw counts to g"
    )
    said.add_argument("--delimiter", metavar="C", help="between cells; \\t for a tab")
    said.add_argument("--decimal", choices=(".", ","), help="of numbers")
    said.add_argument("--columns", metavar="NAMES", help="of files without names: t,ax,ay,az,...")
    said.add_argument("--hmac-key", metavar="KEY", help="of signed Edge Impulse files; others are refused")
    shape = parser.add_argument_group("recordings")
    shape.add_argument(
        "--rate-hz", type=float, metavar="HZ", help="of the recordings (default: 50, or the source's if lower)"
    )
    shape.add_argument(
        "--gap-s", type=float, metavar="S", help="the longest gap that is bridged (default: as the device's, 1)"
    )
    shape.add_argument(
        "--min-s", type=float, default=1.0, metavar="S", help="shorter recordings are left out (default: 1)"
    )
    shape.add_argument("--clock", metavar="WHICH", help="stamps, or steady where they come in bursts")


def run(args: argparse.Namespace, console: Console) -> int:
    """Import; exit code 1 where nothing could be trained on it, and then nothing is written."""
    from edgehar.datasets import DATASETS, EXAMPLE_SETS
    from edgehar.datasets.tabular import store
    from edgehar.files import write_atomic, write_json

    store.check_name(args.name, (*DATASETS, *EXAMPLE_SETS))
    made = _import(args, _settings(args))
    _show(console, made)
    if args.json is not None:
        write_json(
            args.json, {"name": args.name, "guesses": made.described.guesses, "problems": made.described.problems}
        )
    picture = _picture(made, "png") if made.recordings else b""
    if args.plot is not None and made.recordings:
        write_atomic(args.plot, _picture(made, args.plot.suffix.removeprefix(".").lower()))
        console.print(f"drawn in {args.plot}", soft_wrap=True, markup=False)
    if not made.usable:
        console.print("nothing was written: put the errors right first", style="bold red")
        return 1
    if args.dry_run:
        console.print("nothing was written (--dry-run)")
        return 0
    place = store.store(made.described, made.recordings, {PREVIEW: picture})
    held = ", ".join(made.described.test_subjects)
    console.print(
        f"written to {place} (look at {PREVIEW}); held out: {held}\n"
        f"next: edgehar run --dataset {args.name} --out {args.name}   or first: edgehar init {args.name}",
        soft_wrap=True,
        markup=False,
    )
    return 0


def _settings(args: argparse.Namespace) -> ImportSettings:
    from edgehar.datasets.tabular.columns import ColumnSettings
    from edgehar.datasets.tabular.dialect import ReadSettings
    from edgehar.datasets.tabular.importing import ImportSettings
    from edgehar.datasets.tabular.streams import StreamSettings

    delimiter = None if args.delimiter is None else args.delimiter.replace("\\t", "\t")
    if delimiter is not None and len(delimiter) != 1:
        raise UsageError(f"--delimiter {args.delimiter!r}, expected one character")
    names = tuple(name.strip() for name in args.columns.split(",")) if args.columns else ()
    columns = ColumnSettings(_pairs("--channel", args.channel), args.time, args.label, args.subject, args.recording)
    return ImportSettings(
        ReadSettings(delimiter, args.decimal, names, args.hmac_key),
        StreamSettings(
            columns=columns,
            time_unit=args.time_unit,
            rate_hz=args.source_rate,
            units=_pairs("--unit", args.unit),
            scales={key: _factor(key, value) for key, value in _pairs("--scale", args.scale).items()},
            label_names=_pairs("--label-name", args.label_name),
            label_from=args.label_from,
            subject_from=args.subject_from,
        ),
        rate_hz=args.rate_hz,
        gap_s=args.gap_s,
        min_s=args.min_s,
        clock=args.clock,
    )


def _pairs(option: str, said: Sequence[str]) -> Mapping[str, str]:
    found = {}
    for text in said:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UsageError(f"{option} {text!r}: expected KEY=VALUE")
        found[key.strip()] = value.strip()
    return found


def _factor(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < abs(value) < float("inf"):
        raise UsageError(f"--scale {key}={text}: expected a number other than 0")
    return value


def _import(args: argparse.Namespace, settings: ImportSettings) -> Import:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from edgehar.datasets.tabular.importing import import_files

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("reading", total=None)

        def show(path: Path, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=path.name)

        return import_files(args.files, args.name, settings, show)


def _show(console: Console, made: Import) -> None:
    from rich.table import Table
    from rich.text import Text

    guesses = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline", title_justify="left")
    for heading in ("decided", "", "because"):
        guesses.add_column(heading, overflow="fold")
    for guess in made.guesses:
        guesses.add_row(
            Text(guess.what), Text(guess.value or "?", style="" if guess.sure else "yellow"), Text(guess.why)
        )
    console.print(guesses)
    problems = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    for heading in ("", "problem", "what to do"):
        problems.add_column(heading, overflow="fold")
    for problem in made.problems:
        problems.add_row(
            Text(problem.severity, style=STYLES[problem.severity]), Text(problem.what), Text(problem.advice)
        )
    console.print()
    console.print(problems if made.problems else Text("no problems found", style="green"))
    if made.recordings:
        seconds = sum(r.duration_s for r in made.recordings)
        people = len({r.subject for r in made.recordings})
        labels = ", ".join(made.described.label_names)
        console.print(
            f"\n{len(made.recordings)} recordings of {people} people, {seconds / 60:.1f} min at "
            f"{made.described.rate_hz:g} Hz: {labels}",
            soft_wrap=True,
            markup=False,
        )


def _picture(made: Import, file_format: str) -> bytes:
    """The recording with most labelled samples."""
    from edgehar.datasets.plot import render_recording

    def labelled(index: int) -> int:
        labels = made.recordings[index].labels
        return 0 if labels is None else int((labels >= 0).sum())

    return render_recording(made.recordings[max(range(len(made.recordings)), key=labelled)], file_format)
