"""How long the conversion after ONNX takes, by stage: processor time of one core, random weights, made-up windows.

    OMP_NUM_THREADS=1 python tools/bench/export_time.py [--model bilstm] [--windows 1024] [--repeats 3] [--json FILE]

The stages do not depend on what the weights are. The best of the repeats counts.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgehar.files import write_json
from edgehar.models import MODELS
from firmware_export import convert as conversion
from firmware_export.to_onnx import export_onnx

WINDOW, FEATURES, CLASSES = 128, 9, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bilstm", choices=MODELS)
    parser.add_argument("--recipe", default="static_wi8_ai8")
    parser.add_argument("--windows", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    torch.manual_seed(0)
    entry = MODELS[args.model]
    network = entry.build(entry.config(), [(WINDOW, FEATURES)], CLASSES).eval()
    onnx = export_onnx(network, torch.zeros(1, WINDOW, FEATURES))
    windows = np.random.default_rng(0).normal(size=(args.windows, WINDOW, FEATURES)).astype(np.float32)
    conversion.time.perf_counter = time.process_time  # the host is shared: count what this process got
    rows = []
    for _ in range(args.repeats):
        start = time.process_time()
        converted = conversion.convert(onnx, windows, args.recipe)
        rows.append({"total_s": time.process_time() - start, **converted.timings_s})
    best = min(rows, key=lambda row: row["total_s"])
    sizes = {name: len(data) for name, data in converted.files.items()}
    print("  ".join(f"{stage} {seconds:.2f}" for stage, seconds in best.items()))
    print("  ".join(f"{name} {size:,} B" for name, size in sizes.items()))
    if args.json:
        settings = {"model": args.model, "recipe": args.recipe, "windows": args.windows, "repeats": args.repeats}
        write_json(args.json, {**settings, "best_s": best, "bytes": sizes})


def table(found: dict[str, Any]) -> str:
    """Return the seconds of the stages in Markdown; what takes less than 50 ms is left out."""
    seconds = {stage.replace("_", " "): value for stage, value in found["best_s"].items() if stage != "total_s"}
    stages = [f"| {stage} | {value:.2f} |\n" for stage, value in seconds.items() if value >= 0.05]
    total = f"| everything after ONNX | {found['best_s']['total_s']:.2f} |\n"
    return "".join(["| stage | seconds |\n|---|---|\n", *stages, total])


if __name__ == "__main__":
    main()
