"""Many labels on one network, and what that buys or costs: ExtraSensory, the authors' five folds of people.

Compared on ten labels that a motion sensor can know, chosen before any training: one network for all 51 labels, one
for the ten, a network a label, and a logistic regression a label (the published baseline's classifier). Balanced
accuracy, the mean of the shares of yes and of no that were found, is that of all folds' held-out people together. Each
fold's networks for several labels are also quantized and scored in int8. Those of the first fold and seed are run
through every interpreter, and ``--work`` keeps their device files with what goes before them (``inputs.json``). A
bundle would not do: it is made of a stream of samples, and these features come from the phone's own program.

    python tools/extrasensory.py --work DIR --json docs/results/extrasensory.json

A network a label is ten trainings a fold, so those are done with the seeds of ``--alone-seeds`` only.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scored_run import RECIPE, cost
from sklearn.linear_model import LogisticRegression

from edgehar.datasets import Examples, load_examples
from edgehar.errors import EdgeharError
from edgehar.files import write_atomic, write_json
from edgehar.heads import decide
from edgehar.training.baseline import predict
from edgehar.training.examples import (
    ExamplesConfig,
    FittedExamples,
    Standardization,
    fit_examples,
    load_examples_config,
)
from firmware_export.convert import Converted, convert
from firmware_export.reference import run
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import verify

CONFIG = Path("configs/extrasensory.toml")
TEN = (
    "LYING_DOWN", "SITTING", "OR_standing", "FIX_walking", "FIX_running", "BICYCLING", "SLEEPING", "IN_A_CAR",
    "PHONE_IN_POCKET", "PHONE_ON_TABLE",
)  # fmt: skip
CALIBRATION_ROWS = 4096
REGRESSION_STEPS = 200

# counts[label] = [[no found no, no found yes], [yes found no, yes found yes]]
Counts = dict[str, list[list[int]]]


def counted(truth: np.ndarray, decided: np.ndarray, labels: Sequence[str]) -> Counts:
    """Return the confusion of each label over the rows where it is known; both ``[N, L]``."""
    return {
        label: [[int(((t == i) & (d == j)).sum()) for j in (0, 1)] for i in (0, 1)]
        for label, t, d in zip(labels, truth.T, decided.T, strict=True)
    }


def known_rows(examples: Examples) -> Examples:
    """Leave out rows of which no label is known."""
    return examples.take(np.flatnonzero((examples.truth >= 0).any(axis=1)))


def network(
    config: ExamplesConfig, training: Examples, test: Examples, *, in_int8: bool = False, files: Path | None = None
) -> dict:
    """Train on the labels the examples are asked for; return counts and cost.

    Args:
        config: how to train.
        training: rows to fit.
        test: rows of other people.
        in_int8: also quantize, and count the integer network's answers.
        files: a folder for the device files, which are then run through every interpreter; None for neither.
    """
    fitted = fit_examples(config, known_rows(training))
    (logits,) = predict(fitted.network, [fitted.inputs(test)], torch.device("cpu"))
    found = {"f32": counted(test.truth, decide("multilabel", logits), test.task.labels)}
    converted = to_int8(fitted, training)
    if in_int8:
        rows = converted.input_quants[0].quantize(fitted.inputs(test))
        outputs = run(converted.integers, (rows,))
        decided = decide("multilabel", outputs[0], converted.output_quants[0].zero_point)
        found["i8"] = counted(test.truth, decided, test.task.labels)
        if files:
            made = {name: converted.files[name] for name in ("model_i8.tflite", "model_i8.onnx")}
            report = verify(converted.integers, *made.values(), (rows,), outputs, kinds=["multilabel"])
            found["engines"] = report.to_dict()["engines"]
            for name, data in made.items():
                write_atomic(files / name, data)
            write_json(files / "inputs.json", inputs_record(fitted, converted, training))
    return {**found, **cost(converted)}


def inputs_record(fitted: FittedExamples, converted: Converted, training: Examples) -> dict:
    """Return what turns a row of features into the network's integers, and its integers into answers.

    ``q = clip(round(clip((x - mean) / deviation, ±limit) / scale) + zero_point)``, an absent feature being 0 before
    the division by ``scale``; a label is answered yes from its ``yes_from`` up.
    """
    scale = fitted.standardization
    return {
        "columns": list(training.columns),
        "mean": scale.mean.tolist(),
        "deviation": scale.deviation.tolist(),
        "limit": scale.limit,
        **dataclasses.asdict(converted.input_quants[0]),
        "labels": list(training.task.labels),
        "yes_from": converted.output_quants[0].zero_point,
    }


def to_int8(fitted: FittedExamples, training: Examples) -> Converted:
    """Return the device files, calibrated on rows the network was trained on."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(training.values))[:CALIBRATION_ROWS])
    calibration = fitted.inputs(training.take(chosen))
    return convert(export_onnx(fitted.network, torch.zeros(1, calibration.shape[1])), (calibration,), RECIPE)


def regression(config: ExamplesConfig, training: Examples, test: Examples) -> dict:
    """Fit one balanced logistic regression to one label; return its counts and size."""
    training = known_rows(training)
    scale = Standardization.fitted(training.values, config.limit)
    model = LogisticRegression(class_weight="balanced", max_iter=REGRESSION_STEPS, tol=1e-3)
    model.fit(scale(training.values), training.truth[:, 0])
    decided = model.predict(scale(test.values))[:, None]
    weights = training.values.shape[1]
    return {"f32": counted(test.truth, decided, test.task.labels), "parameters": weights + 1, "macs": weights}


def fold_results(
    work: Path, examples: Examples, config: ExamplesConfig, fold: int, seed: int, *, alone: bool
) -> dict[str, list[dict]]:
    """Return what each way gives on one fold, label by label where it has a network a label; kept under ``work``."""
    split = examples.splits[fold]
    training = examples.take(examples.rows(split.train_subjects))
    test = examples.take(examples.rows(split.test_subjects))
    config = dataclasses.replace(config, seed=seed)
    files = work / "files" if fold == 0 and seed == 0 else None
    every = examples.task.labels

    def kept(name: str, make, labels: Sequence[str], **how) -> dict:
        file = work / f"{name}-{fold}-{seed}.json"
        if not file.exists():
            write_json(file, make(config, training.asked(labels), test.asked(labels), **how))
            print(f"fold {fold} seed {seed}: {name}", flush=True)
        return json.loads(file.read_text("utf-8"))

    return {
        f"one network, {len(every)} labels": [kept("all", network, every, in_int8=True, files=files and files / "all")],
        f"one network, {len(TEN)} labels": [kept("ten", network, TEN, in_int8=True, files=files and files / "ten")],
        "a network a label": [kept(f"net-{n}", network, [n]) for n in TEN * alone],
        "a logistic regression a label": [kept(f"lr-{n}", regression, [n]) for n in TEN * (seed == 0)],
    }


def balanced_accuracy(parts: list[Counts], label: str) -> float | None:
    """Return that of all folds together; None where nobody said yes, or nobody no."""
    counts = np.sum([part[label] for part in parts], axis=0)
    if not counts.sum(axis=1).all():
        return None
    return float(np.mean(np.diag(counts) / counts.sum(axis=1)))


def summary(results: dict[int, list[dict[str, list[dict]]]]) -> dict:
    """Return cost and balanced accuracies of each way: of each label, a value a seed.

    Args:
        results: seed → one of :func:`fold_results` a fold.
    """
    ways = []
    for name in next(iter(results.values()))[0]:
        runs = {seed: [part for fold in folds for part in fold[name]] for seed, folds in results.items()}
        runs = {seed: parts for seed, parts in runs.items() if parts}
        first_fold = next(iter(results.values()))[0][name]
        way = {"name": name, "networks": len(first_fold), "seeds": len(runs)}
        way |= {k: sum(p[k] for p in first_fold) for k in ("parameters", "macs", "i8_bytes") if k in first_fold[0]}
        for kind in ("f32", "i8"):
            if kind not in first_fold[0]:
                continue
            labels = list(dict.fromkeys(label for part in first_fold for label in part[kind]))
            way[kind] = {
                label: [
                    balanced_accuracy([p[kind] for p in parts if label in p[kind]], label) for parts in runs.values()
                ]
                for label in labels
            }
        ways.append(way | {key: first_fold[0][key] for key in ("engines",) if key in first_fold[0]})
    return {"labels": list(TEN), "ways": ways}


def table(found: dict) -> str:
    """Return balanced accuracies as Markdown: a row a label, a column a way; then means, cost and engines."""
    columns = [(way, kind) for way in found["ways"] for kind in ("f32", "i8") if kind in way]
    heads = [f"{way['name']}{', int8' if kind == 'i8' else ''}" for way, kind in columns]
    lines = [f"| label | {' | '.join(heads)} |", "|---|" + "---|" * len(columns)]
    lines += [f"| `{label}` | {' | '.join(_cell([w[k][label]]) for w, k in columns)} |" for label in found["labels"]]
    means = [_cell([w[k][label] for label in found["labels"]]) for w, k in columns]
    lines.append(f"| **mean of the {len(found['labels'])}** | {' | '.join(means)} |")
    wider = {len(w[k]) for w, k in columns} - {len(found["labels"])}
    for count in wider:
        cells = [_cell(list(w[k].values())) if len(w[k]) == count else "" for w, k in columns]
        lines.append(f"| mean of all {count} | {' | '.join(cells)} |")
    for key, title in (("parameters", "parameters"), ("macs", "MACs"), ("i8_bytes", "int8 bytes")):
        cells = [f"{w[key]:,}" if key in w else "" for w, _ in columns]
        lines.append(f"| {title}, all networks | {' | '.join(cells)} |")
    lines.append(f"| seeds | {' | '.join(str(w['seeds']) for w, _ in columns)} |")
    lines += [
        "",
        "| network | engine | rows | largest LSB | equal outputs | same answers |",
        "|---|---|---|---|---|---|",
    ]
    for way in found["ways"]:
        for e in way.get("engines", ()):
            exact, same = 100 * e["exact"], 100 * e["same_label"]
            lines.append(
                f"| {way['name']} | {e['engine']} | {e['windows']:,} | {e['max_lsb']} | {exact:.2f} % | {same:.2f} % |"
            )
    return "\n".join(lines) + "\n"


def _cell(by_label: list[list[float | None]]) -> str:
    """Mean over labels that could be scored, then over seeds; the deviation is over seeds."""
    scored = np.array([values for values in by_label if None not in values], np.float64)
    if not len(scored):
        return "not scored"
    means = 100 * scored.mean(axis=0)  # a value a seed
    return f"{means.mean():.1f}" + (f" ± {means.std(ddof=1):.1f}" if len(means) > 1 else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("extrasensory_runs"), help="folder for finished parts")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--alone-seeds", type=int, nargs="+", default=[0], help="of the networks a label")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    try:
        config = load_examples_config(CONFIG)
        examples = load_examples(config.dataset)
        folds = range(len(examples.test_groups))
        results = {
            seed: [fold_results(args.work, examples, config, i, seed, alone=seed in args.alone_seeds) for i in folds]
            for seed in sorted({*args.seeds, *args.alone_seeds, 0})
        }
        found = summary(results)
        print(table(found))
        if args.json:
            write_json(args.json, found)
    except EdgeharError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
