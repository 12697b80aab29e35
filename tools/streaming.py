"""What firmware that streams saves, on an emulated Cortex-M4F: bundles of the zoo, and architectures as published.

Each row is a decision of the whole firmware on whole windows, and one of the same firmware streaming; their logits are
those of the numpy reference, bit for bit. The architectures are untrained: what a network costs does not depend on its
weights.

    python tools/streaming.py --json docs/results/streaming.json \
        --figure docs/results/streaming.png
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from device_sim.emulator.boards import BOARDS, DEFAULT_BOARD
from device_sim.sources import golden_arrays
from edgehar.bundle import Bundle
from edgehar.cli.hops import Deployable, all_exact, deployable, figures, hop_costs
from edgehar.errors import EdgeharError
from edgehar.files import write_json
from edgehar.manifest import Head, ModelInput
from edgehar.models import MODELS
from edgehar.signal import input_tensors, sliding_windows
from firmware_export.convert import convert
from firmware_export.to_onnx import export_onnx

BUNDLES = ("ds_cnn", "ds_cnn_3k", "ds_cnn_30k", "siamese")
HOPS = (64, 24, 8)
CURVE = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # of the figure
UNTRAINED = {"tcn": HOPS, "cnn1d": HOPS, "deepconvlstm": (8,)}
MILLIONS = (0.2, 0.3, 0.5, 1, 2, 3)  # of its right axis
DECISIONS = {"deepconvlstm": 2}  # 47 million products each
FIGURES = ("MACs", "network", "firmware", "µJ", "flash B", "RAM B")


def untrained(name: str, like: Bundle) -> Deployable:
    """An architecture with its default settings behind a bundle's front end."""
    manifest, samples = like.manifest, golden_arrays(like)["stream_samples"]
    windows = sliding_windows(manifest.front_end.run(samples), manifest.window, 8)
    entry = MODELS[name]
    inputs = [
        choice.of(manifest.front_end, manifest.channels, manifest.window).fitted(windows) for choice in entry.inputs
    ]
    torch.manual_seed(0)
    labels = manifest.heads[0].labels
    network = entry.build(entry.config(), [each.shape(manifest.window) for each in inputs], len(labels)).eval()
    tensors = input_tensors(inputs, windows)
    fed = [torch.from_numpy(np.ascontiguousarray(x[:1])) for x in tensors]
    converted = convert(export_onnx(network, fed), tensors)
    pairs = zip(inputs, converted.input_quants, strict=True)
    made = replace(
        manifest,
        name=name,
        inputs=tuple(ModelInput(**vars(each), quant=quant) for each, quant in pairs),
        heads=(Head("activity", "multiclass", labels, converted.output_quants[0]),),
    )
    return Deployable(made, converted.integers, samples)


def measured() -> dict[str, Any]:
    board = BOARDS[DEFAULT_BOARD]
    found: dict[str, Any] = {"board": board.name, "core": board.core, "networks": []}
    default = Bundle.open("zoo:ds_cnn")
    subjects = [(f"zoo:{name}", deployable(Bundle.open(f"zoo:{name}")), HOPS, 8) for name in BUNDLES]
    subjects += [(name, untrained(name, default), hops, DECISIONS.get(name, 8)) for name, hops in UNTRAINED.items()]
    for name, given, hops, decisions in subjects:
        found["networks"].append({"name": name, "hops": hop_costs(given, hops, board, decisions=decisions)})
        print(name, "done", file=sys.stderr, flush=True)
    found["curve"] = hop_costs(deployable(default), CURVE, board, decisions=4)
    return found


def table(found: dict[str, Any]) -> str:
    """Return every network at every hop as Markdown."""
    lines = [f"| network | hop | {' | '.join(FIGURES)} | bit exact |", f"|---|---|{'---|' * len(FIGURES)}---|"]
    for network in found["networks"]:
        for row in network["hops"]:
            both = list(zip(figures(row, "window"), figures(row, "streaming"), strict=True))
            cells = [f"{a:,.0f} → {b:,.0f}, {b / a:.1%}" for a, b in both[:3]]
            cells += [f"{a:,.0f} → {b:,.0f}" for a, b in both[3:]]
            exact = "yes" if all_exact([row]) else "NO"
            lines.append(f"| `{network['name']}` | {row['hop']} | {' | '.join(cells)} | {exact} |")
    lines += ["", "| network | runs over the whole window |", "|---|---|"]
    lines += [f"| `{network['name']}` | {network['hops'][0]['rest']} |" for network in found["networks"]]
    return "\n".join(lines) + "\n"


def draw(found: dict[str, Any], path: Path) -> None:
    """Write the figure: what a decision and what a second of signal costs, by hop."""
    import io

    from matplotlib.figure import Figure

    from edgehar.files import write_atomic

    curve = found["curve"]
    hops = [row["hop"] for row in curve]
    figure = Figure(figsize=(10, 4), layout="constrained")
    share, second = figure.subplots(1, 2)
    ratios = [[b / a for a, b in zip(figures(row, "window"), figures(row, "streaming"), strict=True)] for row in curve]
    for index, (label, style) in enumerate((("products", "k:"), ("network", "o-"), ("whole firmware", "s-"))):
        share.plot(hops, [100 * each[index] for each in ratios], style, label=label)
    share.set(xscale="log", xlabel="hop, samples", ylabel="% of whole windows, a decision", ylim=(0, 105))
    for name, label, style in (("window", "whole windows", "s--"), ("streaming", "streaming", "s-")):
        rates = [row[name]["instructions"] / row["hop_s"] / 1e6 for row in curve]
        second.plot(hops, rates, style, label=label)
    second.set(xscale="log", yscale="log", xlabel="hop, samples", ylabel="million instructions a second of signal")
    second.set_yticks(MILLIONS, [f"{m:g}" for m in MILLIONS])
    for axes in (share, second):
        axes.set_xticks(hops, [str(h) for h in hops])
        axes.minorticks_off()
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomic(path, buffer.getvalue())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--figure", type=Path, metavar="FILE")
    args = parser.parse_args()
    found = measured()
    print(table(found))
    if args.json:
        write_json(args.json, found)
    if args.figure:
        draw(found, args.figure)
    rows = [row for network in found["networks"] for row in network["hops"]] + found["curve"]
    return 0 if all_exact(rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgeharError as error:
        print(f"streaming: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
