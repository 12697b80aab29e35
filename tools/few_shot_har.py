"""Few-shot learning on HAPT: classes and people that no training saw, five ways, one and five shots.

Twelve classes (six activities, six postural transitions), thirty people in three groups. Class split i takes five
classes and the people of group i mod 3 out; a siamese ``ds_cnn`` is trained on the other seven classes of the other
people (``configs/hapt_few_shot.toml``), with random and with semi-hard triplets, and episodes are drawn from the five
classes of the ten people left out. Support comes from people other than the query's, so nothing of its wearer is known.

Beside it the line of hand-made features: the 237 window features of the same front end, standardized on the training
windows, with and without whitening by the training classes' within-class covariance. ``fused`` adds two cosines: that
of the embeddings and that of the whitened features.

Embeddings are scored in float32 and in the int8 of the numpy reference, which TFLite Micro gives bit for bit. Last
weights. Runs finished under ``--work`` are not repeated.

    OMP_NUM_THREADS=1 python tools/few_shot_har.py --json docs/results/few_shot_har.json
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgehar.cli.export import plan_from_run
from edgehar.datasets import DATASETS, load_dataset
from edgehar.datasets.splits import k_fold_by_subject, select
from edgehar.files import write_json
from edgehar.heads import UNKNOWN, Task
from edgehar.signal import input_tensors, sliding_windows
from edgehar.signal.features import default_window_features
from edgehar.training.config import HeadConfig, TrainConfig, load_config
from edgehar.training.episodes import draw_episodes, ranks, top
from edgehar.training.fit import train
from edgehar.training.run_folder import TrainedRun, open_run
from edgehar.training.windows import recording_truth
from firmware_export.convert import convert
from firmware_export.reference import run

CONFIG = Path("configs/hapt_few_shot.toml")
WAYS, SHOTS = 5, (1, 5)
MINING = ("semi_hard", "random")
EPISODES, EPISODE_SEED = 5000, 99
PEOPLE_GROUPS, SPLIT_SEED = 3, 2026
METHODS = {
    "features": "237 window features, standardized",
    "features whitened": "the same, whitened by the training classes",
    "embedding, semi_hard": "embedding, semi-hard triplets, float32",
    "embedding, semi_hard, int8": "the same in int8",
    "embedding, random": "embedding, random triplets, float32",
    "embedding, random, int8": "the same in int8",
    "fused, semi_hard, int8": "int8 embedding and whitened features, sum of cosines",
    "fused, random, int8": "the same, random triplets",
}
SHRINKAGE = 0.3  # of the within-class covariance towards a multiple of the identity


def class_splits(count: int) -> list[tuple[str, ...]]:
    """Return ``count`` different draws of five of the twelve classes."""
    labels, rng = DATASETS["hapt"].label_names, np.random.default_rng(SPLIT_SEED)
    found: dict[tuple[str, ...], None] = {}
    while len(found) < count:
        found[tuple(labels[i] for i in np.sort(rng.permutation(len(labels))[:WAYS]))] = None
    return list(found)


def config_without(unseen: tuple[str, ...], mining: str, seed: int) -> TrainConfig:
    """Return the study's configuration with a classifier and triplets of every class but ``unseen``."""
    config = load_config(CONFIG, seed=seed)
    seen = tuple(name for name in DATASETS["hapt"].label_names if name not in unseen)
    head = HeadConfig("activity", "multiclass", seen, purity=config.heads[0].purity)
    return replace(config, heads=(head,), embedding=replace(config.embedding, mining=mining))


def windows_of(recordings, run_: TrainedRun, labels: tuple[str, ...]):
    """Front-end windows, class (index into ``labels``) and person of every window of one of them."""
    config = run_.config
    task = Task("any", "multiclass", labels, purity=config.heads[0].purity)
    windows, classes, people = [], [], []
    for r in recordings:
        (truth,) = recording_truth(r, (task,), config.window, config.hop)
        known = truth[:, 0] != UNKNOWN
        windows.append(sliding_windows(run_.front_end.run(r.samples), config.window, config.hop)[known])
        classes.append(truth[known, 0])
        people.append(np.full(int(known.sum()), int(r.subject)))
    return np.concatenate(windows), np.concatenate(classes).astype(np.int64), np.concatenate(people)


def hand_features(run_: TrainedRun, seen, unseen) -> dict[str, np.ndarray]:
    """Standardized features of the unseen windows, plain and whitened by what the seen ones vary within a class."""
    features = default_window_features(run_.front_end.names, run_.config.window).fitted(seen[0])
    known, x = features.run(seen[0]).astype(np.float64), features.run(unseen[0]).astype(np.float64)
    scatter = np.mean([np.cov(known[seen[1] == c].T) for c in np.unique(seen[1])], axis=0)
    even = np.diag(scatter).mean() * np.eye(len(scatter))
    values, vectors = np.linalg.eigh((1 - SHRINKAGE) * scatter + SHRINKAGE * even)
    return {"features": x, "features whitened": x @ (vectors / np.sqrt(values)) @ vectors.T}


def embeddings(run_: TrainedRun, windows: np.ndarray) -> dict[str, np.ndarray]:
    """The embedding of windows in float32 and in the integers of a device."""
    plan = plan_from_run(run_, "study", targets=["tflite"], recipe="static_wi8_ai8", slim=True)
    converted = convert(plan.onnx, plan.calibration, plan.recipe)
    tensors = input_tensors(run_.inputs, windows)
    quantized = [quant.quantize(x) for quant, x in zip(converted.input_quants, tensors, strict=True)]
    return {"float32": run(converted.float_graph, tensors)[-1],
            "int8": run(converted.integers, quantized)[-1].astype(np.float32)}  # fmt: skip


def study_split(work: Path, index: int, unseen_labels: tuple[str, ...], mining: str, seed: int) -> list[dict]:
    recordings = load_dataset("hapt")
    people = {r.subject for r in recordings}
    split = k_fold_by_subject(people, PEOPLE_GROUPS, SPLIT_SEED)[index % PEOPLE_GROUPS]
    folder = work / f"ds_cnn-{mining}-{seed}-{index}"
    if not (folder / "run.json").exists():
        train(config_without(unseen_labels, mining, seed), folder, split=split, progress=False)
    run_ = open_run(folder)
    seen = windows_of(select(recordings, split.train_subjects), run_, run_.config.heads[0].labels)
    unseen = windows_of(select(recordings, split.test_subjects), run_, unseen_labels)
    hand = hand_features(run_, seen, unseen)
    learned = embeddings(run_, unseen[0])
    vectors = {f"embedding, {mining}": learned["float32"], f"embedding, {mining}, int8": learned["int8"]}
    vectors[f"fused, {mining}, int8"] = np.concatenate([unit(learned["int8"]), unit(hand["features whitened"])], axis=1)
    if mining == MINING[0]:
        vectors |= hand
    rows = [{"method": name, **_scores(x, unseen)} for name, x in vectors.items()]
    return [{"split": index, "seed": seed, "unseen": list(unseen_labels), **row} for row in rows]


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _scores(vectors: np.ndarray, unseen) -> dict[str, float]:
    _, classes, people = unseen
    found = {}
    for shots in SHOTS:
        drawn = draw_episodes(
            classes, people, ways=WAYS, shots=shots, count=EPISODES, rng=np.random.default_rng(EPISODE_SEED)
        )
        found[f"{shots}_shot"] = top(ranks(vectors.astype(np.float32), drawn), 1)
    return found


def study(work: Path, splits: list[int], seeds: list[int], minings: list[str], out: Path | None) -> None:
    work.mkdir(parents=True, exist_ok=True)
    unseen, rows = class_splits(max(splits) + 1), []
    for seed in seeds:
        for index in splits:
            for mining in minings:
                found = study_split(work, index, unseen[index], mining, seed)
                rows += found
                for row in found:
                    shots = ", ".join(f"{100 * row[f'{s}_shot']:.1f}" for s in SHOTS)
                    print(f"seed {seed} split {index} {row['method']}: {shots}", flush=True)
    summary = [_line(method, rows) for method in dict.fromkeys(row["method"] for row in rows)]
    for line in summary:
        print(line)
    if out:
        write_json(out, {"episodes": EPISODES, "ways": WAYS, "summary": summary, "rows": rows})


def _line(method: str, rows: list[dict]) -> dict:
    """Mean and sample standard deviation over class splits (and seeds)."""
    mine = [row for row in rows if row["method"] == method]
    line = {"method": method, "runs": len(mine)}
    for shots in SHOTS:
        values = np.array([row[f"{shots}_shot"] for row in mine])
        line[f"{shots}_shot"] = float(values.mean())
        line[f"{shots}_shot_sd"] = float(values.std(ddof=1)) if len(mine) > 1 else 0.0
    return line


def table(found: dict) -> str:
    """Return the summary in Markdown."""
    of = {row["method"]: row for row in found["summary"]}
    lines = ["| method | one shot | five shots |\n|---|---|---|\n"]
    for method, words in METHODS.items():
        shots = (f"{100 * of[method][f'{s}_shot']:.1f} ± {100 * of[method][f'{s}_shot_sd']:.1f} %" for s in SHOTS)
        lines.append(f"| {words} | {' | '.join(shots)} |\n")
    return "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("few_shot_har_runs"), help="folder for the runs")
    parser.add_argument("--splits", type=int, nargs="+", default=list(range(12)), help="which class splits")
    parser.add_argument("--mining", nargs="+", default=list(MINING), choices=MINING)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    study(args.work, args.splits, args.seeds, args.mining, args.json)


if __name__ == "__main__":
    main()
