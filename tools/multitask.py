"""What sharing a trunk buys or costs on HAPT: three heads on one ds_cnn, at several loss weights, and a network a head.

The heads are those of ``configs/hapt_multitask.toml``. A network alone answers a yes-or-no head as two classes. Runs
that are finished under ``--work`` are not repeated; nothing is chosen on the held-out people.

    python tools/multitask.py --work DIR --json docs/results/multitask.json
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from scored_run import RECIPE, scored_run

from edgehar.datasets import DATASETS
from edgehar.errors import EdgeharError
from edgehar.files import write_json
from edgehar.training.config import HeadConfig, TrainConfig, load_config

CONFIG = Path("configs/hapt_multitask.toml")
WEIGHTED = "change"
WEIGHTINGS = {"× 0.3": {"weight": 0.3}, "× 3": {"weight": 3.0}, "balanced": {"balance": True}}  # beside the file's × 1


def variants() -> dict[str, TrainConfig]:
    """Every network of the study by its name."""
    together = load_config(CONFIG)
    found = {"three heads": together}
    for head in together.heads:
        found[f"{head.name} alone"] = dataclasses.replace(together, heads=(as_classes(head, together.dataset),))
    for name, changed in WEIGHTINGS.items():
        heads = [dataclasses.replace(h, **changed) if h.name == WEIGHTED else h for h in together.heads]
        found[f"three heads, {WEIGHTED} {name}"] = dataclasses.replace(together, heads=tuple(heads))
    return found


def as_classes(head: HeadConfig, dataset: str) -> HeadConfig:
    """Return a binary head as two classes, no and yes, which ask the same of the same windows."""
    if head.kind != "binary":
        return head
    (yes,) = head.labels
    known = DATASETS[dataset].label_names
    refusals = head.task.refusals(yes)
    no = tuple(n for n in known if n not in head.task.sources(yes)) if refusals is None else refusals
    groups = {"no": no, yes: head.task.sources(yes)}
    return dataclasses.replace(head, kind="multiclass", labels=("no", yes), groups=groups)


def study(work: Path, seeds: list[int], weighting_seeds: list[int]) -> dict:
    """Return every network's cost and scores of each seed; those already under ``work`` are read back."""
    networks = []
    for name, config in variants().items():
        runs = []
        for seed in weighting_seeds if WEIGHTED in name.partition(",")[2] else seeds:
            folder = work / f"{name.replace(' ', '_').replace(',', '').replace('×', 'x')}-{seed}"
            runs.append(scored_run(folder, dataclasses.replace(config, seed=seed)))
            print(f"{name}, seed {seed}: {runs[-1]['heads']}", flush=True)
        networks.append({"name": name, "runs": runs})
    return {"config": str(CONFIG), "recipe": RECIPE, "networks": networks}


def table(found: dict) -> str:
    """Return the study as Markdown."""
    rows = {n["name"]: n["runs"] for n in found["networks"]}
    heads = list(rows["three heads"][0]["heads"])
    windows = {h: rows["three heads"][0]["heads"][h]["windows"] for h in heads}
    lines = [
        "| network | "
        + " | ".join(f"{h}, {windows[h]:,} windows" for h in heads)
        + " | seeds | parameters | MACs | int8 bytes |",
        "|---|" + "---|" * (len(heads) + 4),
    ]
    for name, runs in rows.items():
        cells = [_cell(runs, h) if h in runs[0]["heads"] else "" for h in heads]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {len(runs)} | {_cost([runs[0]])} |")
    alone = [runs[0] for name, runs in rows.items() if name.endswith(" alone")]
    lines.append(f"| a network a head, together | {' | ' * len(heads)} | {_cost(alone)} |")
    return "\n".join(lines) + "\n"


def _cell(runs: list[dict], head: str) -> str:
    def mean(key: str) -> str:
        values = 100 * np.array([r["heads"][head][key] for r in runs])
        return f"{values.mean():.2f}" + (f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else "")

    return f"{mean('accuracy_f32')} / {mean('macro_f1_f32')}, int8 {mean('accuracy_i8')} / {mean('macro_f1_i8')}"


def _cost(runs: list[dict]) -> str:
    return " | ".join(f"{sum(r[key] for r in runs):,}" for key in ("parameters", "macs", "i8_bytes"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("multitask_runs"), help="folder for the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--weighting-seeds", type=int, nargs="+", help="of the other weightings (default: the same)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    args = parser.parse_args()
    try:
        found = study(args.work, args.seeds, args.weighting_seeds or args.seeds)
        print(table(found))
        if args.json:
            write_json(args.json, found)
    except EdgeharError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
