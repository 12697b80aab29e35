"""Networks side by side: a study file has a config a row, all trained and scored on the same people.

Full precision and int8 (the integer reference, which LiteRT's reference kernels and TFLite Micro equal bit for bit) are
scored; a run that is finished under ``--work`` is not repeated. A study is TOML::

    seeds = [0, 1, 2]
    folds = 5                  # by person, everybody scored once; without it the data set's official split
    [common]                   # keys of every row's config
    epochs = 15
    [rows.acc]                 # further keys of this row's
    inputs = [{ name = "acc", sensors = ["acc"] }]
    [rows.vote]                # no training: the mean of other rows' probabilities
    vote = ["acc", "gyro"]

    python tools/compare.py configs/studies/fusion_hapt.toml --work DIR --json docs/results/fusion_hapt.json
"""

import argparse
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scored_run import RECIPE, cost

from edgehar.cli.export import plan_from_run
from edgehar.datasets import load_dataset
from edgehar.datasets.splits import k_fold_by_subject, with_validation
from edgehar.files import write_json
from edgehar.heads import window_truth
from edgehar.training.config import TrainConfig, load_config
from edgehar.training.fit import make_split, train
from edgehar.training.metrics import score
from edgehar.training.run_folder import open_run
from firmware_export.bundle_export import device_tensors
from firmware_export.convert import convert
from firmware_export.reference import run

FOLD_SEED = 7  # the same folds whatever is compared
PRECISIONS = ("f32", "i8")
SCORES = ("accuracy", "macro_f1")


def compare(study: dict, work: Path) -> Iterator[list[dict]]:
    """Yield a row of scores for each network of the study, after each round of all of them."""
    work.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[dict]] = {name: [] for name in study["rows"]}
    for seed in study["seeds"]:
        for fold in range(study.get("folds", 1)):
            for name, row in study["rows"].items():
                if "vote" in row:
                    found = _voted([parts[voter][-1] for voter in row["vote"]])
                else:
                    config = load_config(None, **{**study.get("common", {}), **row, "seed": seed})
                    found = _scored_run(work / f"{name}-{seed}-{fold}", config, study.get("folds"), fold)
                parts[name].append(found)
                print(f"seed {seed} fold {fold} {name}: {100 * _scores(found, 'f32').accuracy:.2f} %", flush=True)
            yield [_row(name, found) for name, found in parts.items()]


def _split(config: TrainConfig, folds: int | None, fold: int):
    recordings = load_dataset(config.dataset)
    if folds is None:
        return make_split(config, recordings)
    people = sorted({r.subject for r in recordings})
    return with_validation(k_fold_by_subject(people, folds, FOLD_SEED)[fold], config.validation_subjects, config.seed)


def _scored_run(folder: Path, config: TrainConfig, folds: int | None, fold: int) -> dict:
    """Probabilities of every held-out window in full precision and int8, with the truth and the cost."""
    if not (folder / "run.json").exists():
        train(config, folder, split=_split(config, folds, fold), progress=False)
    file = folder.with_suffix(".npz")
    if not file.exists():
        plan = plan_from_run(open_run(folder), "study", targets=["tflite"], recipe=RECIPE, slim=True)
        converted = convert(plan.onnx, plan.calibration, plan.recipe)
        truth, f32, i8 = [], [], []
        for item in plan.held_out:
            r = item.recording
            truth.append(window_truth(plan.tasks[0], r.labels, r.label_names, plan.window, plan.hop)[:, 0])
            f32.append(_softmax(item.baseline_logits[0]))
            integers = run(converted.integers, device_tensors(plan, r, converted.input_quants))[0]
            i8.append(_softmax(converted.output_quants[0].scale * integers.astype(np.float64)))
        arrays = {"truth": np.concatenate(truth), "f32": np.concatenate(f32), "i8": np.concatenate(i8)}
        np.savez(file, **arrays, cost=list(cost(converted).values()))
    with np.load(file, allow_pickle=False) as stored:
        return dict(stored)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _voted(voters: list[dict]) -> dict:
    """Late fusion of networks in files of their own: the mean of their probabilities."""
    mean = {kind: np.mean([voter[kind] for voter in voters], axis=0) for kind in PRECISIONS}
    return {"truth": voters[0]["truth"], "cost": np.sum([voter["cost"] for voter in voters], axis=0), **mean}


def _scores(part: dict, kind: str):
    known = part["truth"] >= 0
    return score(part["truth"][known], part[kind][known].argmax(axis=1), part[kind].shape[1])


def _row(name: str, parts: list[dict]) -> dict:
    """Mean and deviation over the runs of each score."""
    costs = dict(zip(("parameters", "macs", "i8_bytes"), map(int, parts[0]["cost"]), strict=True))
    row: dict = {"name": name, **costs, "runs": len(parts), "windows": int(sum((p["truth"] >= 0).sum() for p in parts))}
    for kind in PRECISIONS:
        found = [_scores(p, kind) for p in parts]
        for what in SCORES:
            values = np.array([getattr(s, what) for s in found])
            deviation = float(values.std(ddof=1)) if len(values) > 1 else None
            row |= {f"{what}_{kind}": float(values.mean()), f"{what}_{kind}_sd": deviation}
    row["same_label"] = float(np.mean(np.concatenate([p["f32"].argmax(1) == p["i8"].argmax(1) for p in parts])))
    return row


def table(found: dict) -> str:
    """Return the study as Markdown: mean and deviation over seeds and folds, in percent."""
    lines = [
        "| network | full precision: accuracy / macro-F1 | int8: accuracy / macro-F1 | same label | parameters | MACs "
        "| int8 bytes | runs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        scores = [" / ".join(_percent(row, f"{what}_{kind}") for what in SCORES) for kind in PRECISIONS]
        costs = " | ".join(f"{row[name]:,}" for name in ("parameters", "macs", "i8_bytes"))
        same = f"{100 * row['same_label']:.2f} %"
        lines.append(f"| `{row['name']}` | {' | '.join(scores)} | {same} | {costs} | {row['runs']} |")
    return "\n".join(lines) + "\n"


def _percent(row: dict, name: str) -> str:
    deviation = row[f"{name}_sd"]
    return f"{100 * row[name]:.2f}" + ("" if deviation is None else f" ± {100 * deviation:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="TOML file")
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the study's, to begin with some of them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the rows go")
    args = parser.parse_args()
    study = tomllib.loads(args.study.read_text("utf-8"))
    study["seeds"] = args.seeds or study["seeds"]
    for rows in compare(study, args.work):
        found = {"study": study, "rows": rows}
        if args.json:
            write_json(args.json, found)
    print(table(found))


if __name__ == "__main__":
    main()
