"""Published results, each under its own protocol and under ours: one file of ``configs/literature`` a result.

Of every file up to three rows are made:

1. ``own``: trained and split as published. Where that means windows drawn at random, the same people (and halves of
   the same samples) are on both sides; the row is labelled as leaking people.
2. ``people``: the same training with the data set's official test people held out.
3. ``ours``: ``edgehar train`` on the recordings: our front end and augmentation, by people.

Weights are the last epoch's everywhere; nothing is chosen on what is scored. Rows finished under ``--work`` are read
back. Without ``--only`` all files are done, each with the seeds it names.

    python tools/literature.py --work DIR --json docs/results/literature.json
    python tools/literature.py --work DIR --only bilstm_64_256
"""

import argparse
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scored_run import RECIPE, cost, scored_run

from edgehar.datasets import Examples, load_examples
from edgehar.errors import ConfigError, EdgeharError
from edgehar.files import write_json
from edgehar.heads import decide, score_head
from edgehar.plain_data import from_mapping
from edgehar.signal import QuantParams
from edgehar.training.config import TrainConfig, read_toml
from edgehar.training.curves import draw_curves
from edgehar.training.examples import ExamplesConfig, FittedExamples, fit_examples
from firmware_export.convert import Converted, convert
from firmware_export.reference import run
from firmware_export.to_onnx import export_onnx

FOLDER = Path("configs/literature")
CALIBRATION_ROWS = 512
SPLIT_SEED = 0  # the same rows are held out whatever is trained on the others
PROTOCOLS = {
    "windows": "random windows: **leaks people**",
    "people": "official test people",
    "ours": "official test people; our front end",
}


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        title: of the row.
        accuracy, macro_f1: shares; 0 where none was given.
        split: ``people``, the data set's official test people, or ``windows``, drawn at random from the others'.
        share: of the windows that are drawn for testing.
    """

    title: str
    accuracy: float
    macro_f1: float = 0.0
    split: str = "people"
    share: float = 0.0

    def __post_init__(self) -> None:
        if self.split not in ("people", "windows") or (self.split == "windows") != (0 < self.share < 1):
            raise ConfigError(
                f"{self.title}: split {self.split!r} of share {self.share}; expected 'people', or 'windows' and a "
                "share between 0 and 1"
            )


@dataclass(frozen=True)
class Study:
    """One file: what was published, its training, ours where there are recordings (none or one), the seeds of both."""

    published: Published
    training: ExamplesConfig
    ours: tuple[TrainConfig, ...] = ()
    seeds: tuple[int, ...] = (0,)


def read_study(path: Path) -> Study:
    """Return what the file says.

    Raises:
        ConfigError: it is not TOML, or a key or value is wrong.
    """
    study: Study = from_mapping(Study, read_toml(path), str(path))
    return study


def split_rows(examples: Examples, published: Published, protocol: str) -> tuple[Examples, Examples]:
    """Return the rows to train on and the rows to score, by people or drawn at random from the training people's."""
    fold = examples.splits[0]
    training = examples.take(examples.rows(fold.train_subjects))
    if protocol == "people":
        return training, examples.take(examples.rows(fold.test_subjects))
    order = np.random.default_rng(SPLIT_SEED).permutation(len(training.values))
    held_out = round(published.share * len(order))
    return training.take(np.sort(order[held_out:])), training.take(np.sort(order[:held_out]))


def fitted_row(folder: Path, name: str, study: Study, protocol: str) -> dict:
    """Train on examples (unless the row is there) and return its scores in full precision and int8, and its cost."""
    config = study.training
    file = folder / f"{name}-{protocol}-{config.seed}.json"
    if file.exists():
        return json.loads(file.read_text("utf-8"))
    training, held_out = split_rows(load_examples(config.dataset), study.published, protocol)
    fitted = fit_examples(config, training, held_out)
    scores = fitted.scores(held_out)
    converted = to_int8(fitted, training)
    decided = decide(held_out.task.kind, int8_outputs(converted, fitted, held_out))
    i8 = score_head(held_out.task, held_out.truth, decided)
    row = {
        "protocol": protocol,
        "windows": scores.windows,
        "accuracy_f32": scores.accuracy,
        "macro_f1_f32": scores.macro_f1,
        "accuracy_i8": i8.accuracy,
        "macro_f1_i8": i8.macro_f1,
        "epochs": config.epochs,
        **cost(converted),
        "history": [{k: round(v, 5) for k, v in line.items()} for line in fitted.history],
    }
    write_json(file, row)
    return row


def to_int8(fitted: FittedExamples, training: Examples) -> Converted:
    """Return the device files of a fitted network, calibrated on rows it was trained on."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(training.values))[:CALIBRATION_ROWS])
    calibration = fitted.inputs(training.take(chosen))
    onnx = export_onnx(fitted.network, torch.zeros(1, *calibration.shape[1:]))
    return convert(onnx, (calibration,), RECIPE)


def int8_outputs(converted: Converted, fitted: FittedExamples, rows: Examples) -> np.ndarray:
    """Return the integer network's logits of rows."""
    quant: QuantParams = converted.input_quants[0]
    return run(converted.integers, (quant.quantize(fitted.inputs(rows)),))[0]


def ours_row(folder: Path, name: str, config: TrainConfig) -> dict:
    """Train on recordings (unless the run is there) and return the row."""
    found = scored_run(folder / f"{name}-ours-{config.seed}", config)
    return {"protocol": "ours", **{k: v for k, v in found.items() if k != "heads"}, **found["heads"]["activity"]}


def study_rows(folder: Path, path: Path) -> dict:
    """Return all rows of one file, seed by seed."""
    study = read_study(path)
    protocols = dict.fromkeys([study.published.split, "people"])
    rows: list[dict[str, Any]] = []
    for seed in study.seeds:
        seeded = dataclasses.replace(study, training=dataclasses.replace(study.training, seed=seed))
        for protocol in protocols:
            rows.append(fitted_row(folder, path.stem, seeded, protocol) | {"seed": seed})
        for ours in study.ours:
            rows.append(ours_row(folder, path.stem, dataclasses.replace(ours, seed=seed)) | {"seed": seed})
        for row in rows[-len(protocols) - len(study.ours) :]:
            print(f"{path.stem} {row['protocol']} seed {seed}: {100 * row['accuracy_f32']:.2f} %", flush=True)
    return {"name": path.stem, "published": dataclasses.asdict(study.published), "rows": rows}


def table(studies: list[dict]) -> str:
    """Return the rows as Markdown: mean over seeds, with the deviation where there are several."""
    lines = [
        "| result, published accuracy / macro-F1 | held out | windows | ours, full precision | int8 | parameters "
        "| MACs | int8 bytes | seeds × epochs | command |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for study in studies:
        published = study["published"]
        figures = f"{100 * published['accuracy']:.1f}"
        figures += f" / {100 * published['macro_f1']:.0f} %" if published["macro_f1"] else " %"
        for protocol in dict.fromkeys(row["protocol"] for row in study["rows"]):
            rows = [row for row in study["rows"] if row["protocol"] == protocol]
            own = protocol == published["split"]
            cells = [
                f"{published['title']}{', ' + figures if own else ''}",
                PROTOCOLS[protocol] + (" (as published)" if own else ""),
                f"{rows[0]['windows']:,}",
                *(f"{_mean(rows, f'accuracy_{k}')} / {_mean(rows, f'macro_f1_{k}')} %" for k in ("f32", "i8")),
                *(f"{rows[0][key]:,}" for key in ("parameters", "macs", "i8_bytes")),
                f"{len(rows)} × {rows[0]['epochs']}",
                f"`python tools/literature.py --only {study['name']}`",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _mean(rows: list[dict], key: str) -> str:
    values = 100 * np.array([row[key] for row in rows])
    return f"{values.mean():.2f}" + (f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else "")


def draw(study: dict, protocol: str, path: Path) -> None:
    """Write the learning curves of the first seed's row."""
    row = next(row for row in study["rows"] if row["protocol"] == protocol)
    held_out = {"windows": "random windows of the same people", "people": "people held out"}[protocol]
    draw_curves(row["history"], f"{study['published']['title']}, raw channels", path, ("training", held_out))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("literature_runs"), help="folder for finished rows and runs")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="files of configs/literature, without .toml")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows")
    parser.add_argument("--curves", type=Path, metavar="FOLDER", help="also draw NAME-PROTOCOL.png of every row there")
    args = parser.parse_args()
    paths = sorted(FOLDER.glob("*.toml"))
    if args.only:
        if unknown := sorted(set(args.only) - {path.stem for path in paths}):
            parser.error(f"{FOLDER} has no {unknown[0]}.toml; there are {', '.join(path.stem for path in paths)}")
        paths = [path for path in paths if path.stem in args.only]
    args.work.mkdir(parents=True, exist_ok=True)
    try:
        studies = [study_rows(args.work, path) for path in paths]
        print(table(studies))
        if args.json:
            write_json(args.json, studies)
    except EdgeharError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    if args.curves:
        for study in studies:
            for protocol in {row["protocol"] for row in study["rows"]} & {"windows", "people"}:
                draw(study, protocol, args.curves / f"{study['name']}-{protocol}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
