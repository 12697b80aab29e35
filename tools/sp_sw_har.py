"""Phone, watch, and both: how well their clocks agree, and what wearing two devices buys.

``alignment`` cross-correlates the smoothed angular speed of phone and watch on the common grid and prints the lag
that is left. ``compare`` trains on four fifths of the people and scores the last fifth, five times, so everybody is
scored once; a run that is finished under ``--work`` is not repeated.

    python tools/sp_sw_har.py alignment
    python tools/sp_sw_har.py compare --work DIR --json docs/results/sp_sw_har.json
"""

import argparse
from pathlib import Path

import numpy as np

from edgehar.cli.export import plan_from_run
from edgehar.datasets import load_dataset
from edgehar.datasets.splits import k_fold_by_subject, with_validation
from edgehar.files import write_json
from edgehar.heads import window_truth
from edgehar.training.config import load_config
from edgehar.training.fit import train
from edgehar.training.metrics import score
from edgehar.training.run_folder import open_run
from firmware_export.bundle_export import device_tensors
from firmware_export.convert import convert
from firmware_export.reference import run

CONFIG = Path("configs/sp_sw_har.toml")
DATASETS = {"phone": "sp_sw_har_phone", "watch": "sp_sw_har_watch", "early": "sp_sw_har"}
FOLDS, FOLD_SEED = 5, 7
LARGEST_LAG = 75  # samples, 1.5 s


def alignment() -> None:
    lags = np.array([_lag(r.samples) for r in load_dataset("sp_sw_har")]) * 20
    quartiles = ", ".join(f"{v:.0f}" for v in np.percentile(lags, [5, 25, 50, 75, 95]))
    print(f"watch against phone, {len(lags)} walks, ms: 5, 25, 50, 75, 95 % at {quartiles}")


def _lag(samples: np.ndarray) -> int:
    speeds = [np.linalg.norm(samples[:, i : i + 3], axis=1) for i in (3, 9)]
    phone, watch = (np.convolve((s - s.mean()) / s.std(), np.ones(10) / 10, "same") for s in speeds)
    lags = range(-LARGEST_LAG, LARGEST_LAG + 1)
    shared = [(phone[max(0, k) : len(phone) + min(0, k)], watch[max(0, -k) : len(watch) - max(0, k)]) for k in lags]
    return int(np.argmax([(a * b).mean() for a, b in shared])) - LARGEST_LAG


def compare(work: Path, seeds: list[int], out: Path | None) -> None:
    work.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[dict]] = {name: [] for name in (*DATASETS, "late")}
    people = sorted({r.subject for r in load_dataset("sp_sw_har")})
    for seed in seeds:
        for fold, split in enumerate(k_fold_by_subject(people, FOLDS, FOLD_SEED)):
            for name, dataset in DATASETS.items():
                parts[name].append(_scored_run(work / f"{name}-{seed}-{fold}", dataset, seed, split))
                print(f"seed {seed} fold {fold} {name}: {_accuracy(parts[name][-1:], 'f32'):.4f}", flush=True)
            parts["late"].append(_voted(parts["phone"][-1], parts["watch"][-1]))
    rows = [_row(name, found) for name, found in parts.items()]
    for row in rows:
        print(row)
    if out:
        write_json(out, {"folds": FOLDS, "seeds": seeds, "rows": rows})


def _scored_run(folder: Path, dataset: str, seed: int, split) -> dict:
    """Probabilities of every held-out window in full precision and int8, with the truth and the cost."""
    if not (folder / "run.json").exists():
        config = load_config(CONFIG, dataset=dataset, seed=seed)
        train(config, folder, split=with_validation(split, config.validation_subjects, seed), progress=False)
    file = folder.with_suffix(".npz")
    if not file.exists():
        plan = plan_from_run(open_run(folder), "study", targets=["tflite"], recipe="static_wi8_ai8", slim=True)
        converted = convert(plan.onnx, plan.calibration, plan.recipe)
        truth, f32, i8 = [], [], []
        for item in plan.held_out:
            r = item.recording
            truth.append(window_truth(plan.tasks[0], r.labels, r.label_names, plan.window, plan.hop)[:, 0])
            f32.append(_softmax(item.baseline_logits[0]))
            integers = run(converted.integers, device_tensors(plan, r, converted.input_quants))[0]
            i8.append(_softmax(converted.output_quants[0].scale * integers.astype(np.float64)))
        arrays = {"truth": np.concatenate(truth), "f32": np.concatenate(f32), "i8": np.concatenate(i8)}
        np.savez(file, **arrays, cost=[converted.parameters, converted.macs])
    with np.load(file, allow_pickle=False) as stored:
        return dict(stored)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _voted(phone: dict, watch: dict) -> dict:
    """Late fusion: the mean of both models' probabilities."""
    both = {kind: (phone[kind] + watch[kind]) / 2 for kind in ("f32", "i8")}
    return {"truth": phone["truth"], "cost": phone["cost"] + watch["cost"], **both}


def _accuracy(parts: list[dict], kind: str) -> float:
    return float(np.mean([_scores(p, kind).accuracy for p in parts]))


def _scores(part: dict, kind: str):
    known = part["truth"] >= 0
    return score(part["truth"][known], part[kind][known].argmax(axis=1), part[kind].shape[1])


def _row(name: str, parts: list[dict]) -> dict:
    """Mean over folds and seeds of each score; ``sd`` over folds and seeds."""
    row = {"input": name, "parameters": int(parts[0]["cost"][0]), "macs": int(parts[0]["cost"][1])}
    for kind in ("f32", "i8"):
        found = [_scores(p, kind) for p in parts]
        for what in ("accuracy", "macro_f1"):
            values = np.array([getattr(s, what) for s in found])
            row |= {f"{what}_{kind}": float(values.mean()), f"{what}_{kind}_sd": float(values.std(ddof=1))}
    row["same_label"] = float(np.mean(np.concatenate([p["f32"].argmax(1) == p["i8"].argmax(1) for p in parts])))
    row["windows"] = int(sum((p["truth"] >= 0).sum() for p in parts))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("alignment", "compare"))
    parser.add_argument("--work", type=Path, default=Path("sp_sw_har_runs"), help="folder for the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.what == "alignment":
        alignment()
    else:
        compare(args.work, args.seeds, args.json)


if __name__ == "__main__":
    main()
