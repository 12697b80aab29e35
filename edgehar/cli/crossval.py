"""``edgehar crossval``: the same training for several seeds, on folds of people or on the official split."""

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

    from edgehar.training.run_folder import TrainedRun


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("crossval", help="train for several seeds and folds of people", description=__doc__)
    parser.add_argument("--model", help="architecture (default: ds_cnn)")
    parser.add_argument("--dataset", help="data set (default: hapt)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file, as for edgehar train")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one key; repeatable")
    parser.add_argument("--epochs", type=int, help="passes over the training windows")
    parser.add_argument("--seeds", type=_seeds, default=(0,), metavar="0,1,2", help="random seeds (default: 0)")
    protocol = parser.add_mutually_exclusive_group()
    protocol.add_argument("--folds", type=int, default=5, metavar="K", help="groups of people (default: 5)")
    protocol.add_argument(
        "--official", action="store_true", help="hold the data set's official test people out instead"
    )
    parser.add_argument(
        "--people",
        choices=("all", "training"),
        default="all",
        help="whom to fold: everybody, or the official training people alone, which may decide between models",
    )
    parser.add_argument(
        "--teachers", type=Path, metavar="DIR", help="learn also from the runs there that hold out the same people"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="run folders; finished ones are kept")
    parser.add_argument(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="trainings at a time (default: cores)",
    )
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write the summary as JSON")


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected whole numbers and commas, as 0,1,2") from None
    if len(set(seeds)) != len(seeds):
        raise argparse.ArgumentTypeError(f"{text!r} names a seed twice")
    return seeds


def summary_tables(summary: Mapping[str, Any]) -> Group:
    """Return a row a run, the mean over seeds, and the people from worst to best."""
    from rich.console import Group
    from rich.table import Table

    config = summary["config"]
    title = f"{config['model']} on {config['dataset']}, {summary['parameters']:,} parameters"
    runs = Table("run", "windows", "accuracy", "macro-F1", "held out", title=title, title_justify="left")
    for row in summary["runs"]:
        figures = f"{row['windows']:,}", f"{100 * row['accuracy']:.2f} %", f"{100 * row['macro_f1']:.2f} %"
        runs.add_row(row["name"], *figures, " ".join(row["test_subjects"]))
    runs.add_section()
    seeds = f"{len(summary['seeds'])} seed{'s' if len(summary['seeds']) > 1 else ''}"
    runs.add_row(
        seeds, "", _spread(summary["accuracy"]), _spread(summary["macro_f1"]), f"worst: {summary['worst_run']}"
    )
    people = Table("person", "windows", "accuracy", title="By person, worst first", title_justify="left")
    for name, figures in sorted(summary["subjects"].items(), key=lambda item: item[1]["accuracy"]):
        people.add_row(name, f"{figures['windows']:,}", f"{100 * figures['accuracy']:.2f} %")
    return Group(runs, people)


def _spread(figure: Mapping[str, float | None]) -> str:
    mean, sd = (None if value is None else 100 * value for value in (figure["mean"], figure["sd"]))
    return f"{mean:.2f} %" if sd is None else f"{mean:.2f} ± {sd:.2f} %"


def run(args: argparse.Namespace) -> int:
    """Train what is missing and print what all of it adds up to."""
    from rich.console import Console

    from edgehar.datasets import load_dataset
    from edgehar.errors import UsageError
    from edgehar.files import write_json
    from edgehar.training.config import load_config
    from edgehar.training.crossval import cross_validate, plan_folds, plan_official, taught_by

    if args.jobs < 1:
        raise UsageError(f"--jobs is {args.jobs}, expected 1 or more")
    config = load_config(args.config, args.set, model=args.model, dataset=args.dataset, epochs=args.epochs)
    recordings = load_dataset(config.dataset)
    if args.official:
        planned = plan_official(config, recordings, args.seeds)
    else:
        planned = plan_folds(config, recordings, args.seeds, args.folds, with_test_people=args.people == "all")
    if args.teachers:
        planned = taught_by(planned, args.teachers)
    done = 0

    def on_done(trained: TrainedRun) -> None:
        nonlocal done
        done += 1
        test = trained.record["metrics"]["test"]
        seconds = trained.record["training_s"]
        sys.stderr.write(
            f"{done} of {len(planned)}: {trained.path.name} {100 * test['accuracy']:.2f} % of {test['windows']:,} "
            f"windows, {seconds:.0f} s\n"
        )

    try:
        summary = cross_validate(planned, args.out, jobs=args.jobs, progress=sys.stderr.isatty(), on_done=on_done)
    except KeyboardInterrupt:
        sys.stderr.write("edgehar: the same command goes on where this stopped\n")
        raise
    if args.json:
        write_json(args.json, summary)
    Console().print(summary_tables(summary))
    return 0
