"""Quantization-aware training against quantizing afterwards, seed by seed, on people nobody trained on.

    python tools/bench/qat.py --out DIR [--config FILE] [--set KEY=VALUE] [--epochs E] [--qat-epochs E] [--seeds 0 1 2]

Of each seed two int8 networks that saw as many epochs: trained in float for E + Q, then calibrated (PTQ), and trained
in float for E, then for Q with the rounding (QAT). Runs already in DIR are kept. "As trained" is the share of windows
for which the int8 network answers what the network answered at the end of its training, which of QAT has the rounding
inside.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgehar.cli.export import plan_from_run
from edgehar.cli.train import on_with
from edgehar.files import write_json
from edgehar.heads import window_truth
from edgehar.signal import input_tensors, sliding_windows
from edgehar.training.config import load_config
from edgehar.training.fit import train
from edgehar.training.run_folder import TrainedRun, open_run
from firmware_export.convert import convert
from firmware_export.reference import run

RECIPES = ("static_wi8_ai8", "static_wi8_ai8_mse")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--config", type=Path, metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--qat-epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        config = load_config(args.config, args.set, seed=seed, epochs=args.epochs)
        start = trained(args.out / f"float_{seed}", config)
        longer = trained(args.out / f"longer_{seed}", replace(config, epochs=args.epochs + args.qat_epochs))
        aware = load_config(None, [], **{**on_with(start), "epochs": args.qat_epochs})
        after = trained(args.out / f"qat_{seed}", aware, start)
        plan, windows, truth = held_out(longer)
        known = truth >= 0
        (logits,) = run(convert(plan.onnx, plan.calibration, "float32").float_graph, windows)
        reference = logits.argmax(axis=1)
        rows.append({"seed": seed, "network": "float32", "accuracy": float(np.mean((reference == truth)[known]))})
        for recipe in RECIPES:
            labels = int8_labels(plan, recipe, windows)
            rows.append({"seed": seed, "network": f"PTQ {recipe}"} | scores(labels, truth, reference))
        plan, windows, _ = held_out(after)
        own = np.concatenate([item.baseline_logits[0] for item in plan.held_out]).argmax(axis=1)
        labels = int8_labels(plan, RECIPES[0], windows)
        rows.append({"seed": seed, "network": "QAT"} | scores(labels, truth, own))
        for each in rows[-4:]:
            print("  ".join(str(value) for value in each.values()), flush=True)
    if args.json:
        write_json(args.json, {"config": config.to_dict(), "qat_epochs": args.qat_epochs, "rows": rows})


def trained(out: Path, config: object, start: TrainedRun | None = None) -> TrainedRun:
    if not (out / "run.json").is_file():
        train(config, out, start=start, progress=False)
    return open_run(out)


def held_out(trained_run: TrainedRun) -> tuple:
    plan = plan_from_run(trained_run, "bench", targets=["tflite"], recipe=RECIPES[0], slim=True)
    recordings = [item.recording for item in plan.held_out]
    windows = np.concatenate(
        [sliding_windows(plan.front_end.run(r.samples), plan.window, plan.hop) for r in recordings]
    )
    task = plan.tasks[0]
    truth = [window_truth(task, r.labels, r.label_names, plan.window, plan.hop)[:, 0] for r in recordings]
    return plan, input_tensors(plan.inputs, windows), np.concatenate(truth)


def int8_labels(plan: object, recipe: str, windows: tuple) -> np.ndarray:
    converted = convert(plan.onnx, plan.calibration, recipe)
    fed = [quant.quantize(x) for quant, x in zip(converted.input_quants, windows, strict=True)]
    return converted.run(fed)[0].argmax(axis=1)


def scores(labels: np.ndarray, truth: np.ndarray, own: np.ndarray) -> dict[str, float]:
    return {"accuracy": float(np.mean((labels == truth)[truth >= 0])), "as_trained": float(np.mean(labels == own))}


if __name__ == "__main__":
    main()
