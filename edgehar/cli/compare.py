"""``edgehar compare``: two runs over the same data, metric by metric; exit code 1 where B is worse than allowed.

A and B are each a summary.json, a folder that has one, or a bundle, which is simulated now. Runs over other recordings,
windows or labels are refused. Rules of the verdicts: docs/compare.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgehar.facts import COUNT, LIST, TEXT, problems
from edgehar.files import output_file

if TYPE_CHECKING:
    from rich.table import Table

    from device_sim.compare import Comparison, Row

SUMMARY = "summary.json"
SHOWN = {
    **dict.fromkeys(("bundle_name", "bundle_sha256", "recipe", "engine"), TEXT),
    "windows": COUNT,
    "per_subject": LIST,
}
TONES = {"better": "green", "worse": "bold red", "not compared": "dim"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    from device_sim.compare import ALLOWANCES
    from edgehar.cli.simulate import add_board_option, add_recording_options

    parser = subparsers.add_parser("compare", help="two runs over the same data; a gate for CI", description=__doc__)
    parser.add_argument("a", metavar="A", help="what is known: summary.json, a folder with one, a bundle, or zoo:NAME")
    parser.add_argument("b", metavar="B", help="what is new")
    for option, allowance in ALLOWANCES.items():
        parser.add_argument(
            f"--{option.replace('_', '-')}",
            type=float,
            metavar=allowance.unit.upper().replace("%", "PERCENT"),
            help=f"in {allowance.unit.replace('%', '%%')}: {allowance.note}",
        )
    parser.add_argument("--engine", default="litert", help="for bundles: on-device interpreter (default: litert)")
    add_recording_options(parser)
    add_board_option(parser)
    parser.add_argument("--junit", type=output_file, metavar="FILE", help="also write JUnit XML, a test a metric")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write the comparison as JSON")


def summary_of(where: str, args: argparse.Namespace) -> dict[str, Any]:
    """Return the summary that an argument names; a bundle is simulated.

    Raises:
        UsageError: it names nothing of the kind.
        DataError: a file is no summary.
    """
    from edgehar.bundle import Bundle
    from edgehar.errors import UsageError

    path = Path(where)
    if where.startswith("zoo:") or (path / "manifest.json").is_file():
        return _simulated(Bundle.open(where), args)
    if (path / SUMMARY).is_file():
        return read_summary(path / SUMMARY)
    if path.is_file():
        return read_summary(path)
    raise UsageError(
        f"{where}: no summary.json, no folder that has one, and no bundle; make one with edgehar simulate --json"
    )


def read_summary(path: Path) -> dict[str, Any]:
    """Return a ``summary.json``.

    Raises:
        DataError: it is none, or of another version.
    """
    from device_sim.results import SUMMARY_SCHEMA_VERSION
    from edgehar.errors import DataError

    try:
        summary = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error}); write one with edgehar simulate --json") from None
    version = summary.get("schema_version") if isinstance(summary, dict) else None
    if not isinstance(summary, dict) or version != SUMMARY_SCHEMA_VERSION:
        raise DataError(
            f"{path}: schema_version is {version!r}, expected a summary.json of version {SUMMARY_SCHEMA_VERSION}; "
            "write one with edgehar simulate --json"
        )
    if wrong := problems(summary, SHOWN, all_there=True):
        raise DataError(f"{path}: is no whole summary.json: {wrong[0]}; write one with edgehar simulate --json")
    return summary


def _simulated(bundle: Any, args: argparse.Namespace) -> dict[str, Any]:
    from edgehar.cli.held_out import choose_recordings
    from edgehar.cli.simulate import cost_on_board, shorten, simulate_with_progress, with_energy

    recordings, _ = choose_recordings(bundle, args.recordings, args.subjects, resample=args.resample)
    chosen = shorten(recordings, args.seconds)
    profile = cost_on_board(bundle, args.board)
    result = simulate_with_progress(bundle, chosen, args.engine, board=args.board)
    return with_energy(result, profile).summary


def comparison_table(comparison: Comparison) -> Table:
    """Return one row a metric."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0))
    for index, name in enumerate(("Metric", "A", "B", "B − A", "interval", "", "allowed")):
        table.add_column(name, justify="right" if 0 < index < 5 else "left", header_style="dim", no_wrap=0 < index < 5)
    allowed = {limit.row.name: limit for limit in comparison.limits}
    for row in comparison.rows:
        limit = allowed.get(row.name)
        words = "" if limit is None else f"{limit.allowed:g}: {'over' if limit.over else 'ok'}"
        tone = "bold red" if limit is not None and limit.over else "green"
        verdict = Text("" if row.verdict == "not compared" else row.verdict, style=TONES.get(row.verdict, ""))
        table.add_row(
            Text(f"{row.title}, {row.unit.replace('an hour', '/h')}"),
            *map(Text, figures(row)),
            verdict,
            Text(words, style=tone),
        )
    return table


def figures(row: Row) -> list[str]:
    """Return A, B, difference and interval of a metric; dashes where it is not compared."""
    from device_sim.report.figures import DASH

    if row.a is None or row.b is None or row.difference is None:
        return [DASH, DASH, DASH, DASH]
    digits = 0 if row.unit == "bytes" or max(row.a, row.b) >= 10_000 else 1 if max(row.a, row.b) >= 100 else 2
    spread = DASH
    if row.interval is not None and row.interval[0] != row.interval[1]:
        spread = f"{_signed(row.interval[0], digits)} to {_signed(row.interval[1], digits)}"
    return [f"{row.a:,.{digits}f}", f"{row.b:,.{digits}f}", _signed(row.difference, digits), spread]


def _signed(value: float, digits: int) -> str:
    from device_sim.report.figures import signed

    return signed(value, digits)


def plain_data(comparison: Comparison, names: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the comparison for ``--json``; ``names`` has A's and B's summary."""
    runs = {
        which: {key: summary[key] for key in ("bundle_name", "bundle_sha256", "engine", "engine_version", "recipe")}
        for which, summary in names.items()
    }
    limits = [
        {
            "option": limit.option,
            "metric": limit.row.name,
            "allowed": limit.allowed,
            "over": limit.over,
            "why": limit.why,
        }
        for limit in comparison.limits
    ]
    return {
        **runs,
        "metrics": [row.to_dict() for row in comparison.rows],
        "limits": limits,
        "passed": comparison.passed,
    }


def run(args: argparse.Namespace) -> int:
    """Load or simulate both, compare, print."""
    from rich.console import Console
    from rich.text import Text

    from device_sim.compare import ALLOWANCES, compare, junit_xml
    from edgehar.errors import UsageError
    from edgehar.files import write_atomic, write_json

    allowed = {option: getattr(args, option) for option in ALLOWANCES if getattr(args, option) is not None}
    if wrong := [option for option, limit in allowed.items() if not limit >= 0]:
        raise UsageError(f"--{wrong[0].replace('_', '-')} {allowed[wrong[0]]}: expected a limit of at least 0")
    summaries = {"a": summary_of(args.a, args), "b": summary_of(args.b, args)}
    comparison = compare(summaries["a"], summaries["b"], allowed)
    console = Console()
    for name, summary in summaries.items():
        of = f"{summary['bundle_name']} ({summary['bundle_sha256'][:12]}), {summary['recipe']} on {summary['engine']}"
        console.print(Text(f"{name.upper()}: {of}"))
    people, windows = len(summaries["a"]["per_subject"]), summaries["a"]["windows"]
    console.print(Text(f"same data: {people} people, {windows:,} scored windows; intervals of 95 %, docs/compare.md"))
    console.print(comparison_table(comparison))
    for row in comparison.rows:
        if row.verdict == "not compared":
            console.print(Text(f"{row.title} is not compared: {row.note}", style="dim"))
    if args.json:
        write_json(args.json, plain_data(comparison, summaries))
    if args.junit:
        write_atomic(args.junit, junit_xml(comparison, args.a, args.b))
    for limit in comparison.limits:
        if limit.over:
            sys.stderr.write(f"edgehar: over: {limit.why}\n")
    return 0 if comparison.passed else 1
