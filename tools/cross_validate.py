"""Train on all folds but one, score on that one, by person; mean and deviation over seeds.

``--people training`` leaves the data set's official test people out altogether, so it may decide between models;
``--people all`` is the figure to report beside the official split.

    python tools/cross_validate.py --people training --folds 3 --seeds 0 1 --set epochs=30
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from edgehar.datasets import DATASETS, load_dataset
from edgehar.datasets.splits import k_fold_by_subject, with_validation
from edgehar.files import write_json
from edgehar.training.config import load_config
from edgehar.training.fit import train

FOLD_SEED = 7  # the same folds whatever is compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", choices=("training", "all"), default="training")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the result to a JSON list")
    args = parser.parse_args()

    base = load_config(None, args.set)
    people = sorted({r.subject for r in load_dataset(base.dataset)})
    if args.people == "training":
        people = [p for p in people if p not in DATASETS[base.dataset].test_subjects]
    by_seed, worst = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in args.seeds:
            config = load_config(None, args.set, seed=seed)
            right = windows = 0
            f1 = []
            for i, fold in enumerate(k_fold_by_subject(people, args.folds, FOLD_SEED)):
                split = with_validation(fold, config.validation_subjects, seed)
                run = train(config, Path(folder) / f"{seed}-{i}", split=split, progress=False)
                test = run.record["metrics"]["test"]
                right += round(test["accuracy"] * test["windows"])
                windows += test["windows"]
                f1.append(test["macro_f1"])
                worst[f"{seed}-{i}"] = test["accuracy"]
            by_seed.append((right / windows, float(np.mean(f1))))
            print(f"seed {seed}: {100 * by_seed[-1][0]:.2f} % of {windows} windows", flush=True)
    accuracy, macro_f1 = np.array(by_seed).T
    result = {
        "people": args.people,
        "folds": args.folds,
        "seeds": args.seeds,
        "set": args.set,
        "parameters": run.record["parameters"],
        "accuracy": accuracy.mean(),
        "accuracy_sd": accuracy.std(ddof=1) if len(accuracy) > 1 else None,
        "macro_f1": macro_f1.mean(),
        "worst_fold": min(worst.values()),
    }
    print(json.dumps(result))
    if args.json:
        lines = json.loads(args.json.read_text()) if args.json.exists() else []
        write_json(args.json, [*lines, result])


if __name__ == "__main__":
    main()
