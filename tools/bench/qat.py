"""Quantization-aware training against quantizing afterwards, seed by seed, on people nobody trained on.

    python tools/bench/qat.py --out DIR [--config FILE] [--set KEY=VALUE] [--epochs E] [--qat-epochs E] [--seeds 0 1 2]

Of each seed one network is trained in float for E epochs. From there: its int8 form by calibration (PTQ); that of the
network trained on for Q epochs in float, batch norm folded (PTQ, longer); and that of the network trained on for Q
epochs with the rounding (QAT). Runs already in DIR are kept. "As trained" is the share of windows for which the int8
network answers what the network answered at the end of its training, which of QAT has the rounding inside. With
--spread the same float network is written with channels of unlike ranges before all that. --json FILE --name NAME puts
the rows into FILE under NAME; what else stands there stays.
"""

import argparse
import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from edgehar.cli.export import plan_from_run
from edgehar.cli.train import on_with
from edgehar.files import write_json
from edgehar.heads import window_truth
from edgehar.signal import input_tensors, sliding_windows
from edgehar.training import quantization_aware
from edgehar.training.config import load_config
from edgehar.training.fit import train
from edgehar.training.run_folder import TrainedRun, open_run
from firmware_export.convert import convert


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--config", type=Path, metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--qat-epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--spread", type=float, default=0.0, metavar="BITS", help="of the channels' ranges (ds_cnn)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--name", default="network", help="of the rows in FILE")
    args = parser.parse_args()
    rows, name = [], f"_spread{args.spread:g}" if args.spread else ""
    for seed in args.seeds:
        config = load_config(args.config, args.set, seed=seed, epochs=args.epochs)
        start = trained(args.out / f"float_{seed}", config)
        if args.spread:
            start = replace(start, network=with_spread(start.network, args.spread, seed))
        on = load_config(None, [], **{**on_with(start), "epochs": args.qat_epochs})
        rows.append({"seed": seed, "network": "PTQ", **measured(start)})
        with without_rounding():
            longer = trained(args.out / f"longer{name}_{seed}", on, start)
            rows.append({"seed": seed, "network": "PTQ, longer", **measured(longer)})
        rows.append({"seed": seed, "network": "QAT", **measured(trained(args.out / f"qat{name}_{seed}", on, start))})
        for each in rows[-3:]:
            print("  ".join(str(value) for value in each.values()), flush=True)
    if args.json:
        found = json.loads(args.json.read_text("utf-8")) if args.json.exists() else {}
        entry = {"config": config.to_dict(), "qat_epochs": args.qat_epochs, "spread": args.spread, "rows": rows}
        found["quantization_aware"] = found.get("quantization_aware", {}) | {args.name: entry}
        write_json(args.json, found)


def table(found: dict[str, Any]) -> str:
    """Return a line of each network and way in Markdown, its seeds side by side, in %."""
    lines = []
    for name, entry in found["quantization_aware"].items():
        for way in dict.fromkeys(row["network"] for row in entry["rows"]):
            rows = [row for row in entry["rows"] if row["network"] == way]
            cells = (" / ".join(f"{100 * row[k]:.2f}" for row in rows) for k in ("trained", "int8", "as_trained"))
            lines.append(f"| {name} | {way} | {' | '.join(cells)} |\n")
    return "| network | | trained | int8 | as trained |\n|---|---|---|---|---|\n" + "".join(lines)


def with_spread(network: nn.Module, bits: float, seed: int) -> nn.Module:
    """Return the same function with channels of unlike ranges: one made 2^u times larger, its readers that smaller.

    u is even in -bits..bits. ReLU lets positive factors through, so nothing else changes. Networks trained without
    care come out like this (Nagel et al. 2019, arXiv:1906.04721, section 3), and one scale a tensor then is too coarse
    for the small channels.
    """
    spread, rng = copy.deepcopy(network), np.random.default_rng(seed)
    layers = [layer for layer in spread.layers if not isinstance(layer, nn.ReLU)]
    for norm, reader in zip(layers[1::2], layers[2::2], strict=False):
        factors = torch.from_numpy(2.0 ** rng.uniform(-bits, bits, norm.num_features)).float()
        with torch.no_grad():
            norm.weight *= factors
            norm.bias *= factors
            reader.weight /= factors[:, None, None] if reader.groups > 1 else factors[None, :, None]
    return spread


def trained(out: Path, config: object, start: TrainedRun | None = None) -> TrainedRun:
    if not (out / "run.json").is_file():
        train(config, out, start=start, progress=False)
    return open_run(out)


@contextmanager
def without_rounding() -> Iterator[None]:
    """What trains on inside, and is opened inside, computes in float."""
    with (
        mock.patch.object(quantization_aware.Rounding, "forward", lambda self, x: x),
        mock.patch.object(quantization_aware, "rounded_weight", lambda weight: weight),
    ):
        yield


def measured(trained_run: TrainedRun) -> dict[str, float]:
    """Accuracy of the network as trained and of its int8 form on held-out windows, and how often they answer alike."""
    plan = plan_from_run(trained_run, "bench", targets=["tflite"], recipe="static_wi8_ai8", slim=True)
    recordings = [item.recording for item in plan.held_out]
    columns = [sliding_windows(plan.front_end.run(r.samples), plan.window, plan.hop) for r in recordings]
    task = plan.tasks[0]
    truth = np.concatenate(
        [window_truth(task, r.labels, r.label_names, plan.window, plan.hop)[:, 0] for r in recordings]
    )
    own = np.concatenate([item.baseline_logits[0] for item in plan.held_out]).argmax(axis=1)
    converted = convert(plan.onnx, plan.calibration)
    tensors = input_tensors(plan.inputs, np.concatenate(columns))
    fed = [quant.quantize(x) for quant, x in zip(converted.input_quants, tensors, strict=True)]
    labels, known = converted.run(fed)[0].argmax(axis=1), truth >= 0
    return {
        "trained": float(np.mean((own == truth)[known])),
        "int8": float(np.mean((labels == truth)[known])),
        "as_trained": float(np.mean(labels == own)),
    }


if __name__ == "__main__":
    main()
