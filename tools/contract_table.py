"""Every model × recipe × engine: the same bits as the reference, how far apart, or refused and why.

    python tools/contract_table.py [--models M ...] [--engines E ...] [--json docs/results/contract.json]

Each model of the registry, tiny and with random weights, becomes a bundle of each recipe, and each engine that a
bundle can be run with answers a stream of windows. What an engine or the exporter says when it refuses is in the table
as it said it. Exit code 1 when an engine is over its bound.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from device_sim.engines import ENGINES, open_engine
from device_sim.golden import check_golden
from edgehar.arrays import dump_npz
from edgehar.bundle import Bundle, write_bundle
from edgehar.c_pipeline import FOLDER
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import EdgeharError, EngineError, MissingExtraError, UnsupportedOpError
from edgehar.files import write_json
from edgehar.manifest import Head, Manifest, ModelInput
from edgehar.models import MODELS
from edgehar.precision import Precision
from edgehar.recording import IMU_CHANNELS
from edgehar.signal import default_front_end, input_tensors, sliding_windows
from firmware_export.convert import Converted, convert
from firmware_export.ops import is_stateful
from firmware_export.reference import run
from firmware_export.targets.c import write_firmware
from firmware_export.to_onnx import export_onnx

WINDOW, HOP, RATE_HZ = 64, 16, 50.0
LABELS = ("a", "b", "c")
CALIBRATION_WINDOWS, STREAM_WINDOWS = 128, 24
FEWER_WINDOWS = {"cortex_m": 2}  # an emulator
EXACT, NEAR, OVER, REFUSED, ABSENT = "exact", "near", "over its bound", "refused", "not installed"
RECIPES = tuple(precision.value for precision in Precision)  # kin that differ in ranges alone use the same kernels


@dataclass(frozen=True)
class Cell:
    """What one engine makes of one model in one recipe.

    Attributes:
        model, recipe, engine: keys of ``MODELS``, ``RECIPES``, ``ENGINES``.
        verdict: one of the words above.
        detail: how far apart and what is allowed, or the reason.
    """

    model: str
    recipe: str
    engine: str
    verdict: str
    detail: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    cells = []
    for model in args.models:
        for cell in cells_of(model, args.engines):
            cells.append(cell)
            print(f"{cell.model:14}{cell.recipe:18}{cell.engine:16}{cell.verdict:15}{cell.detail}", flush=True)
    if args.json:
        write_json(args.json, {"cells": [asdict(cell) for cell in cells]})
    return int(any(cell.verdict == OVER for cell in cells))


def stream(samples: int, seed: int) -> np.ndarray:
    """Made-up motion ``[T, 6]``: a few sines and noise, accelerations around 1 g."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples)[:, None] / RATE_HZ
    waves = np.sin(2 * np.pi * rng.uniform(0.5, 4, 6) * t + rng.uniform(0, 6, 6)) * rng.uniform(0.2, 1, 6)
    return (waves + 0.05 * rng.normal(size=(samples, 6)) + [0, 0, 1, 0, 0, 0]).astype(np.float32)


def cells_of(model: str, engines: list[str]) -> Iterator[Cell]:
    """Yield the cells of one model, recipe by recipe."""
    torch.manual_seed(0)
    entry = MODELS[model]
    front_end = default_front_end(IMU_CHANNELS)
    front_end = front_end.fitted(front_end.run(stream(4000, 0)))
    columns = sliding_windows(front_end.run(stream(WINDOW + (CALIBRATION_WINDOWS - 1) * HOP, 1)), WINDOW, HOP)
    inputs = tuple(choice.of(front_end, IMU_CHANNELS, WINDOW).fitted(columns) for choice in entry.inputs)
    calibration = tuple(np.ascontiguousarray(x) for x in input_tensors(inputs, columns))
    network = entry.build(entry.tiny, [each.shape(WINDOW) for each in inputs], len(LABELS))
    network(*map(torch.from_numpy, calibration))  # moves batch norm's statistics off their start
    if entry.grow is not None:
        entry.grow(network, list(calibration), np.arange(len(columns)) % len(LABELS), 0)
    examples = [torch.from_numpy(x[:1]) for x in calibration]
    onnx = export_onnx(network.eval(), examples, inputs=[each.name for each in inputs])
    manifest = Manifest(
        name=model, rate_hz=RATE_HZ, channels=IMU_CHANNELS, window=WINDOW, hop=HOP, front_end=front_end, inputs=(),
        heads=(), decision=DecisionSpec(), recipe="", model={"name": model}, provenance={},
        licence={"data": "made up", "model": "Apache-2.0"},
    )  # fmt: skip
    for recipe in RECIPES:
        try:
            converted = convert(onnx, calibration, recipe)
        except UnsupportedOpError as error:
            yield from (Cell(model, recipe, engine, REFUSED, f"export: {error}") for engine in engines)
            continue
        with tempfile.TemporaryDirectory() as folder:
            bundle = bundle_of(manifest, inputs, converted, Path(folder))
            yield from (Cell(model, recipe, engine, *tried(bundle, engine)) for engine in engines)


def bundle_of(manifest: Manifest, inputs: tuple, converted: Converted, folder: Path) -> Bundle:
    """Write the bundle of one recipe, its C sources included where there are some."""
    samples = stream(WINDOW + (STREAM_WINDOWS - 1) * HOP, 2)
    columns = sliding_windows(manifest.front_end.run(samples), WINDOW, HOP)
    tensors = input_tensors(inputs, columns)
    fed = tuple(quant.quantize(x) for quant, x in zip(converted.input_quants, tensors, strict=True))
    outputs = converted.run(fed)
    report = converted.verify(fed, outputs, ("multiclass",))
    formats = zip(inputs, converted.input_quants, strict=True)
    manifest = replace(
        manifest,
        inputs=tuple(ModelInput(**vars(each), quant=quant) for each, quant in formats),
        heads=(Head("activity", "multiclass", LABELS, converted.output_quants[0]),),
        recipe=converted.recipe,
        model={**manifest.model, "stateful": is_stateful(converted.graph)},
        provenance={"verification": report.to_dict()},
    )
    files = {name: data for name, data in converted.files.items() if name.startswith(_stem(converted))}
    if converted.precision is Precision.STATIC_WI8_AI8:
        sources = write_firmware(manifest, converted.integers, "contract table").files
        files |= {FOLDER + name: data for name, data in sources.items()}
    arrays = {f"stream_windows{f'_{i}' if i else ''}": x for i, x in enumerate(fed)}
    files["golden.npz"] = dump_npz(
        stream_samples=samples,
        stream_labels=np.zeros(len(samples), np.int16),
        stream_outputs=outputs[0],
        stream_logits=run(converted.float_graph, tensors)[0],
        meta=np.frombuffer(b'{"recording": "made", "subject": "made", "start_sample": 0}', np.uint8),
        **arrays,
    )
    return write_bundle(folder / "table.edgehar", manifest, files)


def _stem(converted: Converted) -> str:
    return converted.precision.model_file("")


def tried(bundle: Bundle, name: str) -> tuple[str, str]:
    """Return verdict and detail of one engine on one bundle."""
    golden = bundle.arrays("golden.npz")
    count = FEWER_WINDOWS.get(name, STREAM_WINDOWS)
    tensors = [golden[key][:count] for key in sorted(golden) if key.startswith("stream_windows")]
    try:
        engine = open_engine(name, bundle)
        outputs = np.stack([engine.infer(*window)[0] for window in zip(*tensors, strict=True)])
    except MissingExtraError as error:
        return ABSENT, str(error)
    except EngineError as error:
        return REFUSED, str(error)
    except EdgeharError as error:
        return REFUSED, f"{type(error).__name__}: {error}"
    check = check_golden(bundle, name, outputs)
    if check.largest == 0:
        return EXACT, f"{check.windows} windows"
    largest = f"{check.largest:.0f}" if check.unit == "LSB" else f"{check.largest:.2g}"
    apart = f"{largest} of {check.bound:g} {check.unit} allowed"
    return (NEAR if check.passed else OVER), apart


def tables(found: dict[str, Any]) -> str:
    """Return the cells in Markdown: a table a recipe, reasons numbered below."""
    cells = [Cell(**cell) for cell in found["cells"]]
    reasons: dict[str, int] = {}
    lines: list[str] = []
    engines = list(dict.fromkeys(cell.engine for cell in cells))
    for recipe in dict.fromkeys(cell.recipe for cell in cells):
        lines += [
            f"## `{recipe}`",
            "",
            "| model | " + " | ".join(engines) + " |",
            "|---" * (len(engines) + 1) + "|",
        ]
        rows = [cell for cell in cells if cell.recipe == recipe]
        for model in dict.fromkeys(cell.model for cell in rows):
            words = {cell.engine: _words(cell, reasons) for cell in rows if cell.model == model}
            lines.append(f"| `{model}` | " + " | ".join(words[engine] for engine in engines) + " |")
        lines.append("")
    lines += ["## Reasons", ""]
    lines += [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n".join([*lines, ""])


def _words(cell: Cell, reasons: dict[str, int]) -> str:
    if cell.verdict == EXACT:
        return "exact"
    if cell.verdict in (NEAR, OVER):
        return cell.detail.removesuffix(" allowed") + (" ✗" if cell.verdict == OVER else "")
    return f"[{reasons.setdefault(cell.detail, len(reasons) + 1)}]"


if __name__ == "__main__":
    sys.exit(main())
