"""A stranger's ``.tflite`` or ``.onnx`` to device files, with the proof that they compute what the stranger's does.

There is no run, front end or label behind such a file, so what comes out is a folder of files, not a bundle. An int8
``.tflite`` and a fully quantized QDQ ``.onnx`` keep their integers; anything else is calibrated and quantized.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.c_compiler import find_compiler
from edgehar.errors import ExportError, UsageError
from edgehar.files import sha256_bytes
from edgehar.precision import Precision
from firmware_export.affine import to_integers, to_real
from firmware_export.calibration import RangeRule, calibrate
from firmware_export.convert import read_model
from firmware_export.foreign_source import float_agreement, source_reports
from firmware_export.graph import Graph, Value
from firmware_export.ops import node_macs
from firmware_export.passes import LAYOUT_PASSES, PASSES, RANGE_PASSES, run_passes
from firmware_export.quantize import quantize, uncalibrated
from firmware_export.recipes import recipe_named
from firmware_export.reference import run
from firmware_export.targets.c import Optimize, write_network
from firmware_export.targets.onnx import write_qdq
from firmware_export.targets.tflite import write_tflite
from firmware_export.tflite_reader import is_tflite
from firmware_export.verify import ENGINES, Bound, Candidate, bounds_of, compare, takes, verified_every
from firmware_export.verify_c import run_c

TARGETS = ("tflite", "onnx", "c")
C_NAME = "har_model"
RANDOM_WINDOWS = 64
MOST_WINDOWS = 256  # of the user's, beside the random ones
SCHEMA_VERSION = 1

Windows = tuple[NDArray[Any], ...]  # one array [N, ...] an input


@dataclass(frozen=True, eq=False)
class Foreign:
    """A stranger's file and its graph as read."""

    name: str
    data: bytes
    graph: Graph


@dataclass(frozen=True, eq=False)
class Imported:
    """What a stranger's file became.

    Attributes:
        files: contents by path, ``report.json`` left out.
        integers: the quantized graph that all of them hold.
        report: plain JSON data: where it came from, what is in it, how every engine agrees.
    """

    files: Mapping[str, bytes]
    integers: Graph
    report: Mapping[str, Any]


def read_foreign(name: str, data: bytes) -> Foreign:
    """Return what a ``.tflite`` or ``.onnx`` file holds. Raises as the two readers do."""
    return Foreign(name, data, read_model(data))


def import_model(
    model: Foreign,
    windows: Windows | None,
    targets: Sequence[str],
    recipe: str,
    optimize: Optimize = Optimize.SPEED,
) -> Imported:
    """Return the device files of a stranger's model, verified.

    Args:
        model: from :func:`read_foreign`.
        windows: ``[N, ...]`` of each input, real, or integers of an int8 input; None where there are none.
        targets: of ``TARGETS``.
        recipe: with int8 activations; only says how ranges are chosen where the file has none.
        optimize: what the C kernels are chosen for.

    Raises:
        UsageError: a target or recipe is not known, or windows are needed and missing.
        UnsupportedOpError: an op cannot be quantized or written.
        VerificationError: an engine differs where it must not.
    """
    chosen = recipe_named(recipe)
    if unknown := set(targets) - set(TARGETS):
        raise UsageError(f"no target {min(unknown)!r}; there are {', '.join(TARGETS)}")
    if not targets:
        raise UsageError(f"no target; there are {', '.join(TARGETS)}")
    if chosen.precision is not Precision.STATIC_WI8_AI8:
        raise UsageError(f"recipe {recipe!r} is not for somebody else's file; choose static_wi8_ai8 or a kin of it")
    graph, float_graph = model.graph, None
    if graph.input_dtype == "int8":
        integers, keeps = run_passes(graph, LAYOUT_PASSES), True
    elif graph.input_dtype == "float32":
        float_graph = run_passes(graph, PASSES)
        integers, keeps = _quantized(model, float_graph, windows, chosen.ranges)
    else:
        raise ExportError(f"{model.name} has {graph.input_dtype} activations, expected float32 or int8")
    fed = _verification_windows(integers, windows)
    files, verification = _written_and_verified(model, integers, fed, targets, optimize)
    found: dict[str, Any] = {"engines": source_reports(model.data, integers, fed) if keeps else []}
    if not keeps and float_graph is not None and windows is not None:
        found |= _against_floats(model.data, integers, float_graph, windows)
    verification["source"] = found
    return Imported(files, integers, _report(model, integers, files, verification, keeps=keeps))


def _quantized(model: Foreign, float_graph: Graph, windows: Windows | None, ranges: RangeRule) -> tuple[Graph, bool]:
    """Return the integers that the file fixes, ours where calibration has to choose; and whether all are the file's."""
    ranged = run_passes(float_graph, RANGE_PASSES)
    missing = uncalibrated(ranged)
    if missing and windows is None:
        raise UsageError(
            f"{model.name} has no scales for {len(missing)} of its tensors ({missing[0]!r} first), so it needs windows "
            f"to be calibrated on: --calibration FILE.npz with {_wanted(float_graph)}, or FILE.csv with a row a "
            "sample; a few hundred windows as the network sees them in use are enough"
        )
    if missing and windows is not None:
        ranged = run_passes(calibrate(float_graph, windows, ranges), RANGE_PASSES)
    return quantize(ranged), not missing


def _wanted(graph: Graph) -> str:
    shapes = (f"{name}[N, {', '.join(map(str, graph.values[name].shape[1:]))}]" for name in graph.inputs)
    return " and ".join(shapes)


def _verification_windows(integers: Graph, given: Windows | None) -> Windows:
    """Return int8 windows: random ones over all integers, both extremes first, then the user's."""
    rng = np.random.default_rng(0)
    made = []
    for index, name in enumerate(integers.inputs):
        value = integers.values[name]
        x = rng.integers(-128, 128, (RANDOM_WINDOWS, *value.shape[1:])).astype(np.int8)
        x[0], x[1] = -128, 127
        if given is not None:
            own = given[index][:MOST_WINDOWS]
            x = np.concatenate([x, own if own.dtype == np.int8 else to_integers(own, value.quantization)])
        made.append(x)
    every = verified_every(integers, len(made[0]))
    return tuple(x[::every] for x in made)


def _written_and_verified(
    model: Foreign, integers: Graph, windows: Windows, targets: Sequence[str], optimize: Optimize
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Write every target asked for; run all engines on what is written, and the C where a compiler is there.

    Where our own files have a bound that is not 0 (XNNPACK, ONNX Runtime), a stranger's only report the difference:
    nothing is known of its outputs.
    """
    expected = run(integers, windows)
    candidate = Candidate(integers, write_tflite(integers, {}), write_qdq(integers))
    heads = [("multiclass", integers.values[o].quantization.zero_point) for o in integers.outputs]
    bounds = bounds_of(integers)
    reports = [
        compare(
            engine,
            bounds[engine] if bounds[engine].max_lsb == 0 else ANY,
            expected,
            runner(candidate, windows),
            heads,
        )
        for engine, runner in ENGINES.items()
        if takes(engine, candidate)
    ]
    files: dict[str, bytes] = {}
    if "tflite" in targets:
        files["model_i8.tflite"] = candidate.tflite
    if "onnx" in targets and candidate.onnx is not None:
        files["model_i8.onnx"] = candidate.onnx
    verification: dict[str, Any] = {"windows": len(windows[0]), "random_windows": RANDOM_WINDOWS}
    if "c" in targets:
        origin = f"edgehar, from {model.name}, SHA-256 {sha256_bytes(model.data)}"
        network = write_network(integers, C_NAME, origin, optimize)
        files |= {f"c/{path}": content for path, content in network.files.items()}
        verification["c"] = {"arena_bytes": network.arena_bytes, "weight_bytes": network.weight_bytes, "compiler": None}
        compiler = find_compiler()
        if compiler is not None:
            found = run_c(integers, network, C_NAME, compiler, windows)
            reports.append(compare("c", EXACT, expected, found, heads))
            verification["c"]["compiler"] = f"{compiler.command[0]} {compiler.version}"
    verification["engines"] = [
        {**asdict(report), "bound_lsb": None if report.bound_lsb == ANY.max_lsb else report.bound_lsb}
        for report in reports
    ]
    return files, verification


ANY = Bound(255, 0.0, "a stranger's outputs have no bound")
EXACT = Bound(0, 1.0, "the generated C computes the reference's bits")


def _against_floats(data: bytes, integers: Graph, float_graph: Graph, given: Windows) -> dict[str, Any]:
    """Say how the stranger's own file compares with our reading of it, and that with its integers."""
    real = tuple(x.astype(np.float32)[:MOST_WINDOWS] for x in given)
    rows = zip(run(float_graph, real), run(integers, _integers(integers, real)), integers.outputs, strict=True)
    return {
        "float": float_agreement(data, float_graph, real),
        "quantization": [_quality(a, to_real(q, integers.values[o].quantization)) for a, q, o in rows],
    }


def _integers(graph: Graph, real: Windows) -> Windows:
    return tuple(to_integers(x, graph.values[n].quantization) for x, n in zip(real, graph.inputs, strict=True))


def _quality(expected: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, float]:
    """Return signal to quantization noise, and the share of windows with the same largest output."""
    noise = float(np.mean(np.square(found - expected, dtype=np.float64)))
    signal = float(np.var(expected, dtype=np.float64))
    same = float((expected.argmax(axis=-1) == found.argmax(axis=-1)).mean())
    return {"snr_db": 10 * float(np.log10(max(signal, 1e-30) / max(noise, 1e-30))), "same_label": same}


def _report(
    model: Foreign, graph: Graph, files: Mapping[str, bytes], verification: Mapping[str, Any], *, keeps: bool
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "source": {
            "file": model.name,
            "bytes": len(model.data),
            "sha256": sha256_bytes(model.data),
            "format": "tflite" if is_tflite(model.data) else "onnx",
            "integers": "of the file" if keeps else "ours, but for those that the file fixes",
        },
        "inputs": [_described(graph.values[n]) for n in graph.inputs],
        "outputs": [_described(graph.values[n]) for n in graph.outputs],
        "ops": dict(sorted(Counter(node.op for node in graph.nodes).items())),
        "parameters": graph.parameters,
        "macs": sum(node_macs(graph, node) for node in graph.nodes),
        "files": {path: len(content) for path, content in sorted(files.items())},
        "verification": dict(verification),
    }


def _described(value: Value) -> dict[str, Any]:
    quant = value.quantization
    return {"name": value.name, "shape": list(value.shape), "scale": quant.scale, "zero_point": quant.zero_point}
