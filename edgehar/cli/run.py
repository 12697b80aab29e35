"""``edgehar run``: train, export, simulate on held-out people, report; every step where it can be found again."""

from __future__ import annotations

import argparse
from pathlib import Path

ENGINES = ("litert", "litert_ref", "tflm", "onnxruntime")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("run", help="the whole loop with good defaults", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder for everything (demo)")
    parser.add_argument("--dataset", help="data set (default: hapt)")
    parser.add_argument("--model", help="architecture (default: ds_cnn)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of the training")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one key; repeatable")
    parser.add_argument("--engines", default=",".join(ENGINES), metavar="E[,E...]", help="the first is the main one")


def run(args: argparse.Namespace) -> int:
    """Run the steps in order; a finished training or export in ``--out`` is not done again."""
    from rich.console import Console

    from edgehar import cli
    from edgehar.files import write_atomic

    console = Console()
    trained, bundle, page = args.out / "run", args.out / "model.edgehar", args.out / "report.html"
    where = ["--resume", str(trained)] if (trained / "checkpoints" / "last.ckpt").is_file() else ["--out", str(trained)]
    done = (trained / "run.json").is_file()
    if done or where[0] == "--resume":
        _check_same(args, trained)
    if where[0] == "--out":
        where += [f"--set={item}" for item in args.set] + (["--config", str(args.config)] if args.config else [])
        where += [f"--{key}={getattr(args, key)}" for key in ("dataset", "model") if getattr(args, key)]
    summary = ["--json", str(args.out / "summary.json")]
    steps = [
        ("train", ["train", *where, "--json", str(args.out / "run.json")]),
        ("export", ["export", str(trained), "--out", str(bundle)]),
        ("simulate and report", ["report", str(bundle), "-o", str(page), "--engines", args.engines, *summary]),
    ]
    for title, command in steps:
        console.rule(f"[bold]{title}[/bold]: edgehar {' '.join(command)}", align="left")
        if done and title == "train":
            console.print(f"{trained} is finished and kept; delete {args.out} to train again")
            write_atomic(args.out / "run.json", (trained / "run.json").read_bytes())  # a kill may have come before it
            continue
        code = cli.main(command)
        if code:
            return code
    return 0


def _check_same(args: argparse.Namespace, trained: Path) -> None:
    """Refuse to go on with a training other than the one asked for; who asks for nothing goes on with what is there."""
    from edgehar.errors import UsageError
    from edgehar.training.config import load_config
    from edgehar.training.run_folder import read_config

    if not (args.config or args.set or args.dataset or args.model):
        return
    asked = load_config(args.config, args.set, dataset=args.dataset, model=args.model).to_dict()
    there = read_config(trained).to_dict()
    other = [key for key, value in asked.items() if value != there[key]]
    if other:
        raise UsageError(
            f"{trained}: holds a training with {other[0]} = {there[other[0]]!r}, asked for is {asked[other[0]]!r}; "
            f"choose another --out, or delete {args.out} to train again"
        )
