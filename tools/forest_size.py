"""What a forest's size is worth on HAPT's official split: scikit-learn's own forests on the features of the device.

The one that goes on the device (``edgehar train --model forest``) has 24 trees of depth 5. Validation people are left
out, as there.

    python tools/forest_size.py --json docs/results/forest_size.json
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from edgehar.datasets import load_dataset
from edgehar.datasets.splits import select
from edgehar.files import write_json
from edgehar.training.config import load_config
from edgehar.training.fit import fit_front_end, fit_inputs, make_split
from edgehar.training.windows import scored_windows

SIZES = ((24, 5), (24, 8), (24, None), (200, None))  # trees, depth
SEEDS = (0, 1, 2)


def table(found: dict[str, Any]) -> str:
    """Return the forests in Markdown."""
    lines = ["| trees × depth | nodes | accuracy |", "|---|---|---|"]
    for row in found["rows"]:
        size = f"{row['trees']}, any depth" if row["depth"] is None else f"{row['trees']} × {row['depth']}"
        lines.append(f"| {size} | {row['nodes']:,} | {100 * row['accuracy']:.2f} ± {100 * row['sd']:.2f} % |")
    return "\n".join(lines) + "\n"


def cost(forest: dict[str, Any], ds_cnn: dict[str, Any]) -> str:
    """Return what a decision costs in Markdown, of two reports of ``edgehar profile --json``.

    A network's features are what its stage in the whole firmware takes beyond the network alone.
    """
    (whole,) = (stage for stage in forest["pipeline"]["stages"] if stage["name"] == "network")
    features = {count: whole[count] - forest[count] for count in ("instructions", "cycles")}
    alone, network, before = (f"{each['instructions']:,} / {each['cycles']:,}" for each in (forest, ds_cnn, features))
    return (
        "| stage | `forest` (24 × 5): instructions / cycles | `ds_cnn`: instructions / cycles |\n|---|---|---|\n"
        f"| network without its features | {alone} | {network} |\n"
        f"| window features | {before} | – |\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    config = load_config(None, model="forest")
    recordings = load_dataset(config.dataset)
    split = make_split(config, recordings)
    training = select(recordings, split.train_subjects)
    front_end = fit_front_end(config, training)
    (features,) = fit_inputs(config, front_end, training)
    sets = [scored_windows(people, front_end, config) for people in (training, select(recordings, split.test_subjects))]
    (x, y), (x_test, y_test) = ((features.tensor(windows), truth[:, 0]) for windows, truth in sets)
    rows = []
    for trees, depth in SIZES:
        grown = [RandomForestClassifier(trees, max_depth=depth, random_state=seed).fit(x, y) for seed in SEEDS]
        found = np.array([forest.score(x_test, y_test) for forest in grown])
        nodes = int(np.mean([sum(tree.tree_.node_count for tree in forest.estimators_) for forest in grown]))
        rows.append({"trees": trees, "depth": depth, "nodes": nodes, "accuracy": found.mean(), "sd": found.std(ddof=1)})
        print(rows[-1], flush=True)
    if args.json:
        write_json(args.json, {"seeds": SEEDS, "rows": rows})


if __name__ == "__main__":
    main()
