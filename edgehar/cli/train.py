"""``edgehar train``: config in, run folder out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgehar.files import output_file

if TYPE_CHECKING:
    from rich.table import Table

    from edgehar.training.run_folder import TrainedRun

QAT_EPOCHS = 6
QAT_RATE = 0.1  # of the learning rate of the run it goes on from


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("train", help="train a model and write a run folder", description=__doc__)
    parser.add_argument("--model", help="architecture (default: ds_cnn)")
    parser.add_argument("--dataset", help="data set (default: hapt)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file; keys as in the documentation")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one key; repeatable")
    parser.add_argument("--seed", type=int, help="random seed (default: 0)")
    parser.add_argument("--epochs", type=int, help="passes over the training windows")
    parser.add_argument(
        "--qat",
        type=Path,
        metavar="RUN",
        help="train a finished RUN on with the rounding of its int8 form (convolutional networks)",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, metavar="RUN", help="new run folder")
    where.add_argument("--resume", type=Path, metavar="RUN", help="go on with an interrupted run, as it was configured")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write the run's record as JSON")


def on_with(start: TrainedRun) -> dict[str, Any]:
    """Return the keys of a quantization-aware training: the run's own, fewer epochs, smaller steps."""
    if start.config.quantization_aware:
        from edgehar.errors import UsageError

        raise UsageError(f"{start.path}: is quantization-aware already; give --qat the run that it started from")
    rate = start.config.learning_rate * QAT_RATE
    return {**start.config.to_dict(), "epochs": QAT_EPOCHS, "learning_rate": rate, "quantization_aware": True}


def run_table(path: Path, record: Mapping[str, Any]) -> Table:
    """Return what a finished training has to show, as a rich table."""
    from rich.table import Table

    config, metrics = record["config"], record["metrics"]
    table = Table(title=f"{config['model']} on {config['dataset']}, seed {config['seed']}", show_header=False)
    epochs = f"{record['epochs_run']} epochs, " if record["epochs_run"] else ""
    rows = {
        "run folder": str(path),
        "parameters": f"{record['parameters']:,}",
        "trained on": f"{len(record['split']['train_subjects'])} people, {record['training_windows']:,} windows, "
        f"{epochs}{record['training_s']:.0f} s on {record['training_device']}",
        "held-out people": f"{_scores(metrics['test'])} ({', '.join(record['split']['test_subjects'])})",
    }
    if "validation" in metrics:
        rows["validation people"] = _scores(metrics["validation"])
    for head in metrics["test"].get("heads", ()):
        rows[f"head {head['name']}"] = _scores(head) + ", held-out people"
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _scores(scores: Mapping[str, Any]) -> str:
    if scores["accuracy"] is None or scores["macro_f1"] is None:
        return f"{scores['windows']:,} windows, too few known answers to score"
    return (
        f"{100 * scores['accuracy']:.2f} % of {scores['windows']:,} windows, macro-F1 {100 * scores['macro_f1']:.2f} %"
    )


def run(args: argparse.Namespace) -> int:
    """Train and print the result."""
    from rich.console import Console

    from edgehar.errors import UsageError
    from edgehar.files import write_json
    from edgehar.training.config import load_config
    from edgehar.training.fit import train
    from edgehar.training.run_folder import open_run, read_config

    if args.qat and (args.resume or args.model or args.dataset or args.config):
        raise UsageError("--qat goes on as RUN was configured; change its keys with --set, --epochs or --seed")
    start = open_run(args.qat) if args.qat else None
    if args.resume:
        if args.set or args.config or args.model or args.dataset or args.seed is not None or args.epochs is not None:
            raise UsageError("--resume goes on as the run was configured; it takes no --config, --set, --model, ...")
        config = read_config(args.resume)
    else:
        given = {name: getattr(args, name) for name in ("model", "dataset", "seed", "epochs")}
        if start is not None:
            given = {**on_with(start), **{name: value for name, value in given.items() if value is not None}}
        config = load_config(args.config, args.set, **given)
    out = args.resume or args.out
    try:
        trained = train(config, out, start=start, resume=bool(args.resume), progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        if (out / "checkpoints" / "last.ckpt").is_file():
            sys.stderr.write(f"edgehar: go on where this stopped with: edgehar train --resume {out}\n")
        raise
    Console().print(run_table(trained.path, trained.record))
    if args.json:
        write_json(args.json, trained.record)
    return 0
