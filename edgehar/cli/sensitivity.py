"""``edgehar sensitivity``: which layer of a trained network loses how much to its integers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edgehar.files import output_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from firmware_export.bundle_export import ExportPlan
    from firmware_export.sensitivity import Sensitivity

WINDOWS = 1024


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "sensitivity", help="say which layer loses how much when quantized", description=__doc__
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of `edgehar train` or `edgehar run`")
    parser.add_argument("--recipe", default="static_wi8_ai8", help="how to quantize (default: static_wi8_ai8)")
    parser.add_argument("--windows", type=int, default=WINDOWS, help=f"held-out windows to run (default: {WINDOWS})")
    parser.add_argument("--out", type=output_file, metavar="FILE.png", help="also draw a bar chart")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write it as JSON")


def held_out_windows(plan: ExportPlan, count: int) -> tuple[NDArray[np.float32], ...]:
    """Return each input ``[N, ...]`` for at most ``count`` windows, spread evenly over the held-out recordings."""
    import numpy as np

    from edgehar.signal import input_tensors, sliding_windows

    features = (plan.front_end.run(item.recording.samples) for item in plan.held_out)
    windows = [sliding_windows(x, plan.window, plan.hop) for x in features]
    total = sum(map(len, windows))
    chosen = set(np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist())
    starts = np.cumsum([0, *map(len, windows)])
    kept = [x[[i in chosen for i in range(start, start + len(x))]] for x, start in zip(windows, starts, strict=False)]
    return input_tensors(plan.inputs, np.concatenate(kept))


def sensitivity_table(found: Sensitivity, title: str) -> Table:
    """Return one row a layer, worst first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(f"{title}: outputs {_db(found.logits_db)} dB, {found.changed_labels:.2%} of {found.windows:,} labels"
        " changed by all integers together"),
        title_justify="left",
        title_style="",
        box=None,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    columns = ("layer", "op", "logits", "changed", "alone", "all", "weights", "scale", "zero")
    for name in columns:
        table.add_column(
            Text(name),
            justify="left" if name in columns[:2] else "right",
            header_style="dim",
            overflow="fold",
            no_wrap=name not in columns[:2],
        )
    for layer in found.layers:
        figures = (layer.alone_db, layer.accumulated_db, layer.weight_db)
        cells = [layer.name, layer.op, _db(layer.logits_db), f"{layer.changed_labels:.2%}", *map(_db, figures)]
        table.add_row(*map(Text, [*cells, f"{layer.scale:.4g}", str(layer.zero_point)]))
    table.caption = Text(
        "Signal to quantization noise in dB, worst layer first. Only this layer quantized: at the network's outputs "
        "(logits), labels it changes, at its own output (alone). All layers quantized: at its output (all)."
    )
    table.caption_justify = "left"
    return table


def draw(found: Sensitivity, title: str, path: Path) -> None:
    """Write the bar chart: what each layer, quantized alone, leaves of the outputs, worst on top."""
    import io

    from matplotlib.figure import Figure

    from edgehar.files import write_atomic

    layers = [(layer, layer.logits_db) for layer in reversed(found.layers) if layer.logits_db is not None]
    heights = [height for _, height in layers]
    figure = Figure(figsize=(9, 1.4 + 0.36 * len(layers)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(range(len(layers)), heights, color="#0072B2", height=0.66)
    axes.set_yticks(range(len(layers)), [layer.name for layer, _ in layers])
    notes = [f"{height:.1f} dB, {layer.changed_labels:.2%} of labels changed" for layer, height in layers]
    axes.bar_label(bars, notes, padding=4, fontsize=8)
    if found.logits_db is not None:
        axes.axvline(found.logits_db, color="#D55E00", linewidth=1.4, label=f"all layers: {found.logits_db:.1f} dB")
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    axes.set_xlim(min([0.0, *heights]), max([1.0, *heights]) * 1.45)  # room for the notes
    axes.set_xlabel("SQNR of the outputs when only this layer is quantized, dB (longer is better)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_atomic(path, buffer.getvalue())


def _db(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def run(args: argparse.Namespace) -> int:
    """Quantize the run in memory, measure, print."""
    from rich.console import Console

    from edgehar.cli.export import plan_from_run
    from edgehar.errors import UsageError
    from edgehar.files import write_json
    from edgehar.training.run_folder import open_run
    from firmware_export.convert import convert
    from firmware_export.sensitivity import layer_sensitivity

    if args.windows < 1:
        raise UsageError(f"--windows {args.windows}: expected at least 1")
    inner = args.run / "run"  # where `edgehar run` keeps its training
    trained = open_run(inner if (inner / "run.json").is_file() else args.run)
    plan = plan_from_run(trained, args.run.name, targets=("tflite",), recipe=args.recipe, slim=True)
    converted = convert(plan.onnx, plan.calibration, args.recipe)
    windows = held_out_windows(plan, args.windows)
    kinds = plan.kinds
    found = layer_sensitivity(converted.float_graph, converted.integers, windows, kinds)
    title = f"{trained.config.model} {args.recipe}"
    Console().print(sensitivity_table(found, title))
    if args.out:
        draw(found, title, args.out)
    if args.json:
        write_json(args.json, {"run": str(args.run), "recipe": args.recipe, **found.to_dict()})
    return 0
