"""The default network, three sizes on two data sets, and other architectures, on the data sets' official splits.

    OMP_NUM_THREADS=1 python tools/official_split.py --work DIR --json docs/results/official_split.json

Each row is ``edgehar crossval --official --seeds S,... [--config FILE | --model M --epochs E] --dataset D`` and, of
those on HAPT, ``edgehar export`` of every run. Finished run folders in ``DIR`` are kept, so the command goes on where
it stopped.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgehar.cli.export import plan_from_run
from edgehar.datasets import load_dataset
from edgehar.files import write_json
from edgehar.training.config import load_config
from edgehar.training.crossval import cross_validate, plan_official
from edgehar.training.run_folder import TrainedRun, open_run
from firmware_export.bundle_export import export_bundle

ROOT = Path(__file__).parents[1]
EXPORTED = "hapt"
MODEL_FILE = "model_i8.tflite"
FAST = ("litert", "onnxruntime")  # kernels that may differ from the reference by a bound


@dataclass(frozen=True)
class Row:
    """Trainings that differ by their seed alone."""

    name: str
    dataset: str = "hapt"
    config: str | None = None
    model: str | None = None
    epochs: int | None = None
    seeds: tuple[int, ...] = (0, 1, 2)


SIZES = {"ds_cnn_3k": "configs/ds_cnn_3k.toml", "ds_cnn": None, "ds_cnn_30k": "configs/ds_cnn_30k.toml"}
ROWS = (
    *(Row(name, dataset, config) for dataset in ("hapt", "uci_har") for name, config in SIZES.items()),
    Row("tcn", model="tcn", seeds=(0,)),
    Row("transformer", model="transformer", seeds=(0,)),
    Row("joint", model="joint", epochs=12, seeds=(0,)),
)


def trained(row: Row, work: Path) -> dict[str, Any]:
    """Train what is missing of a row and return its scores; of an exported one those of its int8 too."""
    file = ROOT / row.config if row.config else None
    config = load_config(file, model=row.model, dataset=row.dataset, epochs=row.epochs)
    planned = plan_official(config, load_dataset(row.dataset), row.seeds)
    folder = work / f"{row.dataset}-{row.name}"
    summary = cross_validate(planned, folder, jobs=1, progress=sys.stderr.isatty(), on_done=_say)
    keys = ("name", "seed", "windows", "accuracy", "macro_f1")
    runs = [{key: run[key] for key in keys} for run in summary["runs"]]
    if row.dataset == EXPORTED:
        runs = [run | exported(open_run(folder / run["name"])) for run in runs]
    return {
        "name": row.name,
        "config": row.config,
        "dataset": row.dataset,
        "epochs": config.epochs,
        "parameters_as_trained": summary["parameters"],
        "runs": runs,
    }


def _say(run: TrainedRun) -> None:
    print(f"{run.path.parent.name}/{run.path.name}", file=sys.stderr, flush=True)


def exported(run: TrainedRun) -> dict[str, Any]:
    """Return what a run's bundle says of itself: cost, int8 scores, and how far each engine is from the reference."""
    plan = plan_from_run(run, run.path.name, targets=["tflite", "onnx"], recipe="static_wi8_ai8", slim=True)
    manifest = export_bundle(plan, run.path.parent / f"{run.path.name}.edgehar").bundle.manifest
    return {
        "parameters": manifest.model["parameters"],
        "macs": manifest.model["macs"],
        "i8_bytes": manifest.files[MODEL_FILE].bytes,
        "verification": manifest.provenance["verification"],
    }


def seed_table(rows: list[dict[str, Any]]) -> str:
    """Return the default network's seeds in full precision and int8."""
    runs = find(rows, "ds_cnn")["runs"]
    lines = [
        "| seed | full precision: accuracy / macro-F1 | int8: accuracy / macro-F1 | drop, points | same label |\n"
        "|---|---|---|---|---|\n"
    ]
    for run in runs:
        i8 = run["verification"]
        f32, int8 = (f"{100 * a:.2f} / {100 * f:.2f} %" for a, f in (_scores(run), _scores(i8, "int8_")))
        drop = 100 * (run["accuracy"] - i8["int8_accuracy"])
        same = 100 * i8["agreement_with_baseline"]
        lines.append(f"| {run['seed']} | {f32} | {int8} | {drop:.2f} | {same:.2f} % |\n")
    lines.append(f"| mean ± sd | {spread(runs, 'accuracy')} / {spread(runs, 'macro_f1')} % | | | |\n")
    return "".join(lines)


def size_table(rows: list[dict[str, Any]]) -> str:
    """Return three sizes on two data sets."""
    pairs = {name: [find(rows, name, dataset) for dataset in ("hapt", "uci_har")] for name in SIZES}
    hapt, uci = (row["runs"][0]["windows"] for row in pairs["ds_cnn"])
    lines = [
        f"| size | parameters | MACs | HAPT, {hapt:,} windows | UCI HAR, {uci:,} windows |\n|---|---|---|---|---|\n"
    ]
    for name, pair in pairs.items():
        title = f"`{SIZES[name]}`" if SIZES[name] else "default"
        cost = pair[0]["runs"][0]
        scores = " | ".join(f"{spread(row['runs'], 'accuracy')} / {spread(row['runs'], 'macro_f1')}" for row in pair)
        lines.append(f"| {title} | {cost['parameters']:,} | {cost['macs']:,} | {scores} |\n")
    return "".join(lines)


def architecture_table(rows: list[dict[str, Any]]) -> str:
    """Return the other architectures, a run each."""
    lines = [
        "| model | epochs | parameters | MACs | full precision → int8 | same label "
        "| XNNPACK / ONNX Runtime, largest LSB |\n|---|---|---|---|---|---|---|\n"
    ]
    for row in rows:
        if row["name"] in SIZES:
            continue
        (run,) = row["runs"]
        found = run["verification"]
        steps = {engine["engine"]: engine["max_lsb"] for engine in found["engines"]}
        cells = [
            f"`{row['name']}`",
            str(row["epochs"]),
            f"{row['parameters_as_trained'] / 1e3:.1f} k",
            f"{run['macs'] / 1e6:.2f} M",
            f"{100 * run['accuracy']:.2f} → {100 * found['int8_accuracy']:.2f} %",
            f"{100 * found['agreement_with_baseline']:.2f} %",
            " / ".join(str(steps[name]) for name in FAST),
        ]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def find(rows: list[dict[str, Any]], name: str, dataset: str = "hapt") -> dict[str, Any]:
    """Return the row of a network on a data set."""
    return next(row for row in rows if (row["name"], row["dataset"]) == (name, dataset))


def spread(runs: list[dict[str, Any]], figure: str) -> str:
    """Return mean and sample standard deviation over seeds, in percent."""
    values = [100 * run[figure] for run in runs]
    return f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f}"


def _scores(found: dict[str, Any], kind: str = "") -> tuple[float, float]:
    return found[f"{kind}accuracy"], found[f"{kind}macro_f1"]


def main() -> None:
    """Train, export and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="run folders; finished ones are kept")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    write_json(args.json, [trained(row, args.work) for row in ROWS])


if __name__ == "__main__":
    main()
