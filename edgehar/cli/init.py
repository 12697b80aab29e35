"""``edgehar init``: a commented TOML for a data set, to change and give to ``edgehar run --config``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgehar.files import output_file

if TYPE_CHECKING:
    from edgehar.datasets import Dataset

HEAD = """
# {title}
[[heads]]
name = {name}
kind = "multiclass"
labels = [
{labels}]
purity = {purity:g}  # share of a window's samples that must carry its label: activities here are short
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser("init", help="write a commented config for a data set", description=__doc__)
    parser.add_argument("dataset", metavar="DATASET", help="name of a data set (edgehar data list)")
    parser.add_argument("--out", type=output_file, metavar="FILE", help="default: DATASET.toml; an older file is kept")


def run(args: argparse.Namespace) -> int:
    """Write the file; never over another."""
    from edgehar.datasets import find_dataset
    from edgehar.errors import UsageError
    from edgehar.files import write_atomic

    dataset = find_dataset(args.dataset)
    path = args.out or Path(f"{args.dataset}.toml")
    if path.exists():
        raise UsageError(f"{path}: exists; choose another --out, nothing was written")
    write_atomic(path, config_text(dataset).encode())
    sys.stdout.write(
        f"{path}: look at labels and test_subjects, then: edgehar run --config {path} --out {args.dataset}\n"
    )
    return 0


def config_text(dataset: Dataset) -> str:
    """Return the TOML: what is usual, with what it does beside it, and what is rarely changed commented out."""
    from edgehar.training.config import load_config

    config = load_config(dataset=dataset.name)
    labels = "".join(f"  {_quoted(label)},\n" for label in dataset.task_labels)
    title = "The classes, in the order of the logits. What is left out is streamed, but neither trained nor scored."
    head, table = f"\n# {title}\nlabels = [\n{labels}]\n", ""
    if config.heads:
        first = config.heads[0]
        head, table = "", HEAD.format(title=title, name=_quoted(first.name), labels=labels, purity=first.purity)
    test = ", ".join(map(_quoted, dataset.test_subjects))
    return f"""# {dataset.title}: {dataset.rate_hz:g} Hz, {", ".join(c.name for c in dataset.channels)}
#
#     edgehar run --config FILE --out DIR
#
# An unknown key is an error that names the nearest one.

dataset = {_quoted(dataset.name)}
{head}
test_subjects = [{test}]  # held out from everything: whole people, never windows
validation_subjects = {config.validation_subjects}  # people taken out of the others, for curves and choices

window = {config.window}  # samples that the network sees: {config.window / dataset.rate_hz:.2f} s
hop = {config.hop}  # samples from decision to decision: {config.hop / dataset.rate_hz:.2f} s

model = "ds_cnn"  # edgehar train --model help lists them; docs/results.md compares them
epochs = {config.epochs}
batch_size = {config.batch_size}  # smaller where there are few windows
learning_rate = 4e-3
seed = 0

[augmentation]
rotation_deg = 30.0  # worn otherwise: turn the sensors by up to this much; 0 where the mounting is fixed
scale = 0.1  # another gain: 1 ± scale
time_warp = 0.0  # another pace: 1 ± time_warp
sensor_dropout = 0.0  # chance that a window loses its gyroscope

# [model_options]  # fields of the model's Config, for example of ds_cnn:
# stem_channels = 24
# blocks = [[48, 15, 2], [96, 9, 1]]  # out_channels, kernel, stride
{table}"""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
