"""Ways to choose the integers of one trained network, side by side on its held-out windows.

    python tools/bench/recipes.py RUN... [--precisions] [--json FILE]

First table: every rule for the ranges, each with the mean over time as AVERAGE_POOL_2D (which keeps its input's scale)
and as a depthwise convolution of equal weights (which has a scale of its own). Second: int8 and int16 activations, and
int8 weights with float activations, and with --precisions that one alone. Agreement is with the float network. What
else stands in FILE stays.
"""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro import runtime

from device_sim.engines.protocol import native_stderr_captured
from edgehar.cli.export import plan_from_run
from edgehar.files import write_json
from edgehar.heads import window_truth
from edgehar.signal import input_tensors, sliding_windows
from edgehar.training.run_folder import open_run
from firmware_export.affine import to_integers, to_real
from firmware_export.bundle_export import ExportPlan
from firmware_export.calibration import RangeRule, calibrate
from firmware_export.convert import convert
from firmware_export.graph import Graph, Value, assemble
from firmware_export.onnx_reader import read_onnx
from firmware_export.ops import node_macs
from firmware_export.ops.average_pool1d import AveragePool1d
from firmware_export.ops.depthwise_conv1d import DepthwiseConv1d
from firmware_export.passes import PASSES, RANGE_PASSES, run_passes
from firmware_export.quantize import quantize
from firmware_export.reference import run
from firmware_export.targets.onnx import write_qdq
from firmware_export.targets.tflite import write_tflite
from firmware_export.verify import Candidate, run_litert_default, run_onnxruntime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--precisions", action="store_true", help="the second table alone")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    results, precisions = [], []
    for path in args.runs:
        plan = plan_from_run(open_run(path), "bench", targets=["tflite"], recipe="static_wi8_ai8", slim=True)
        features = [plan.front_end.run(item.recording.samples) for item in plan.held_out]
        columns = np.concatenate([sliding_windows(x, plan.window, plan.hop) for x in features])
        (windows,) = input_tensors(plan.inputs, columns)
        truth = np.concatenate(
            [
                window_truth(plan.tasks[0], r.labels, r.label_names, plan.window, plan.hop)[:, 0]
                for r in (item.recording for item in plan.held_out)
            ]
        )
        precisions += [{"run": path.name, "recipe": r} | measure_recipe(plan, r, windows, truth) for r in PRECISIONS]
        pooled = run_passes(read_onnx(plan.onnx), PASSES)
        for mean, graph in {} if args.precisions else {"pool": pooled, "depthwise": mean_as_depthwise(pooled)}.items():
            for rule in RangeRule:
                quantized = quantize(run_passes(calibrate(graph, plan.calibration, rule), RANGE_PASSES))
                row = {"run": path.name, "mean": mean, "ranges": str(rule)}
                results.append(row | measure(graph, quantized, windows, truth))
                print("  ".join(str(value) for value in results[-1].values()), flush=True)
    if results:
        print("\n| ranges | mean | " + " | ".join(FIGURES) + " |")
        print("|---|---|" + "---|" * len(FIGURES))
    for mean in ("pool", "depthwise") if results else ():
        for rule in RangeRule:
            rows = [r for r in results if (r["mean"], r["ranges"]) == (mean, str(rule))]
            cells = [" / ".join(form.format(r[key]) for r in rows) for key, form in FIGURES.items()]
            print(f"| {rule} | {mean} | " + " | ".join(cells) + " |")
    found = {"choices": results, "precisions": precisions} if results else {"precisions": precisions}
    print("\n" + precisions_table(found) + "\n" + mixed_table(found))
    if args.json:
        known = json.loads(args.json.read_text("utf-8")) if args.json.exists() else {}
        write_json(args.json, known | found)


PRECISIONS = ("static_wi8_ai8", "mixed_wi8", "static_wi8_ai16", "dynamic_wi8")
SIZES = ("int16", "bytes", "arena")
FIGURES = {
    "agreement": "{:.2%}",
    "accuracy": "{:.2%}",
    "logits_db": "{:.1f}",
    "xnnpack_lsb": "{}",
    "xnnpack_same_label": "{:.2%}",
    "onnxruntime_lsb": "{}",
    "onnxruntime_same_label": "{:.2%}",
    "bytes": "{:,}",
    "macs": "{:,}",
}


def mean_as_depthwise(graph: Graph) -> Graph:
    """Return the graph with each average pool over all time as a depthwise convolution of equal weights."""
    nodes, new = [], list(graph.values.values())
    for node in graph.nodes:
        if not isinstance(node.attrs, AveragePool1d) or node.attrs.kernel != graph.values[node.inputs[0]].shape[1]:
            nodes.append(node)
            continue
        length, channels = graph.values[node.inputs[0]].shape[1:]
        weight = np.full((length, channels), 1 / length, np.float32)
        new.append(Value(f"{node.output}/weight", weight.shape, data=weight))
        new.append(Value(f"{node.output}/bias", (channels,), data=np.zeros(channels, np.float32)))
        inputs = (*node.inputs, f"{node.output}/weight", f"{node.output}/bias")
        nodes.append(replace(node, op="depthwise_conv1d", inputs=inputs, attrs=DepthwiseConv1d(kernel=length)))
    return assemble(graph.inputs, graph.outputs, nodes, new)


def precisions_table(found: dict[str, Any]) -> str:
    """Return a line of each recipe in Markdown, its runs side by side."""
    lines = []
    for name in PRECISIONS:
        rows = [row for row in found["precisions"] if row["recipe"] == name]
        cells = [" / ".join(FIGURES[k].format(row[k]) for row in rows) for k in ("agreement", "accuracy", "logits_db")]
        cells += [" / ".join(f"{row[key]:,}" if row[key] or key == "int16" else "–" for row in rows) for key in SIZES]
        lines.append([f"`{name}`", *cells])
    return markdown(("recipe", "same label", "accuracy", "logits, dB", "int16", "bytes", "TFLM arena"), lines)


def mixed_table(found: dict[str, Any]) -> str:
    """Return how mixed_wi8 chose for the last run, in Markdown."""
    choice = next(row["choice"] for row in reversed(found["precisions"]) if row["recipe"] == "mixed_wi8")
    lines = [["nothing: int8 throughout", "", f"{choice['int8_db']:.1f}"]]
    lines += [[f"`{s['layer']}`", str(len(s["nodes"])), f"{s['logits_db']:.1f}"] for s in choice["steps"]]
    lines += [["target", "", f"{choice['target_db']:.1f}"]]
    lines += [["everything that can be", "", f"{choice['highest_db']:.1f}"]]
    return markdown(("raised for", "nodes that became int16", "logits, dB"), lines)


def markdown(columns: Sequence[str], lines: list[list[str]]) -> str:
    head, *rows = (f"| {' | '.join(row)} |\n" for row in (columns, *lines))
    return "".join([head, f"|{'---|' * len(columns)}\n", *rows])


def measure_recipe(plan: ExportPlan, recipe: str, windows: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    converted = convert(plan.onnx, plan.calibration, recipe)
    (expected,), (source,), (sink,) = (
        run(converted.float_graph, windows),
        converted.input_quants,
        converted.output_quants,
    )
    found = sink.dequantize(converted.run(source.quantize(windows))[0])
    file, graph = converted.file("tflite"), converted.graph
    wide = sum(graph.values[node.output].dtype == "int16" for node in graph.nodes)
    choice = {} if converted.choice is None else {"choice": converted.choice.to_dict()}
    return scores(expected, found, truth) | {"int16": wide, "bytes": len(file), "arena": arena_bytes(file)} | choice


def arena_bytes(tflite: bytes) -> int:
    """What TFLite Micro's recording allocator counts; 0 where it refuses the file."""
    try:
        with native_stderr_captured():
            interpreter = runtime.Interpreter.from_bytes(tflite, arena_size=2**22)
    except RuntimeError:
        return 0
    with native_stderr_captured() as log:
        interpreter.print_allocations()
    return next(int(m[1]) for line in log.lines if (m := re.search(r"Arena allocation total (\d+) bytes", line)))


def scores(expected: np.ndarray, found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    labels, known = found.argmax(axis=1), truth >= 0
    return {
        "windows": len(found),
        "agreement": float(np.mean(labels == expected.argmax(axis=1))),
        "accuracy": float(np.mean(labels[known] == truth[known])),
        "logits_db": float(10 * np.log10(np.square(expected).sum() / np.square(found - expected).sum())),
    }


def measure(graph: Graph, quantized: Graph, windows: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    source, sink = (quantized.values[name] for name in (*quantized.inputs, *quantized.outputs))
    integers = to_integers(windows, source.quantization)
    (expected,), (found,) = run(graph, windows), run(quantized, integers)
    candidate = Candidate(quantized, write_tflite(quantized, {}), write_qdq(quantized))
    row = scores(expected, to_real(found, sink.quantization), truth)
    for name, engine in {"xnnpack": run_litert_default, "onnxruntime": run_onnxruntime}.items():
        (other,) = engine(candidate, integers)
        row[f"{name}_lsb"] = int(np.abs(other.astype(int) - found).max())
        row[f"{name}_same_label"] = float(np.mean(other.argmax(axis=1) == found.argmax(axis=1)))
    return row | {"bytes": len(candidate.tflite), "macs": sum(node_macs(graph, node) for node in graph.nodes)}


if __name__ == "__main__":
    main()
