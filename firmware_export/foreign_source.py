"""A stranger's own file, as it came, in the interpreters that take it: does our graph compute the same?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import VerificationError
from firmware_export.affine import to_real
from firmware_export.graph import Graph, Value
from firmware_export.reference import run
from firmware_export.source_runner import run_engines
from firmware_export.tflite_reader.file import FileTensor, is_tflite, open_file

UNSIGNED_OFFSET = 128
ONE_STEP = 0.5  # outputs that are float at the file's edge are whole steps but for float32's rounding
FLOAT_TOLERANCE = 1e-3  # of the largest output: float32 sums in another order, layer after layer
# FULLY_CONNECTED: LiteRT's reference kernel rescales with one rounding, TFLM with two, and TFLM is our definition
ONE_ROUNDING = "LiteRT rounds FULLY_CONNECTED once, TFLite Micro and we twice: docs/decisions/0003"

Windows = tuple[NDArray[Any], ...]


def source_reports(data: bytes, integers: Graph, windows: Windows) -> list[dict[str, Any]]:
    """Return how each interpreter's outputs of the stranger's file differ from ours, in steps of our output.

    Args:
        data: a ``.tflite`` or QDQ ``.onnx`` whose integers are ours.
        integers: our graph.
        windows: int8.

    Raises:
        VerificationError: TFLite Micro gives other bits for a ``.tflite``.
    """
    if not is_tflite(data):
        return [_report("onnxruntime", integers, windows, _onnxruntime_steps(data, integers, windows))]
    file = open_file(data)
    sources = [file.tensors[i] for i in file.inputs]
    sinks = [file.tensors[i] for i in file.outputs]
    if any(tensor.shape[:1] != (1,) for tensor in (*sources, *sinks)):
        return []  # interpreters are fed a batch of 1
    fed = tuple(
        _as_file(x, integers.values[name], tensor)
        for x, name, tensor in zip(windows, integers.inputs, sources, strict=True)
    )
    reports = [
        _report(engine, integers, windows, _all_steps(integers, outputs))
        for engine, outputs in run_engines(data, fed).items()
    ]
    if any(operator.name == "FULLY_CONNECTED" for operator in file.operators):
        reports[1].setdefault("reason", ONE_ROUNDING)
    if reports[0].get("max_lsb", 0.0) >= ONE_STEP:
        raise VerificationError(
            "TFLite Micro computes other outputs of the file itself than our reading of it, up to "
            f"{reports[0]['max_lsb']:.0f} steps apart; keep the file for a report"
        )
    return reports


def float_agreement(data: bytes, graph: Graph, windows: Windows) -> dict[str, Any]:
    """Return how far our float graph is from the stranger's file in LiteRT or ONNX Runtime, relative to its outputs.

    Raises:
        VerificationError: it is further than rounding explains.
    """
    engine = "litert" if is_tflite(data) else "onnxruntime"
    found: Windows | str
    if is_tflite(data):
        file = open_file(data)
        if any(file.tensors[i].shape[:1] != (1,) for i in (*file.inputs, *file.outputs)):
            return {"engine": engine, "windows": 0, "reason": "it is fed a batch of 1, which the file does not take"}
        fed = tuple(x.reshape(-1, *file.tensors[i].shape[1:]) for x, i in zip(windows, file.inputs, strict=True))
        found = run_engines(data, fed)[engine]
    else:
        found = _onnxruntime(data, graph, windows)
    if isinstance(found, str):
        return {"engine": engine, "windows": 0, "reason": found}
    ours = run(graph, windows)
    worst = 0.0
    for a, b in zip(ours, found, strict=True):
        apart = np.abs(a.reshape(len(a), -1) - b.reshape(len(b), -1)).max()
        worst = max(worst, float(apart / max(float(np.abs(b).max()), 1e-6)))
    if worst > FLOAT_TOLERANCE:
        raise VerificationError(
            f"{engine} computes other outputs of the file itself than our reading of it: they differ by {worst:.2%} of "
            f"the largest, at most {FLOAT_TOLERANCE:.1%} is rounding; keep the file for a report"
        )
    return {"engine": engine, "windows": len(windows[0]), "largest_relative_difference": worst}


def _report(engine: str, graph: Graph, windows: Windows, found: list[NDArray[np.float64]] | str) -> dict[str, Any]:
    """Return the differences; an engine that has no outputs of the stranger's file is reported with its reason."""
    if isinstance(found, str):
        return {"engine": engine, "windows": 0, "reason": found}
    pairs = zip(run(graph, windows), found, strict=True)
    apart = [np.abs(a.astype(np.float64) - b.reshape(a.shape)) for a, b in pairs]
    return {
        "engine": engine,
        "windows": len(windows[0]),
        "max_lsb": round(float(max(d.max() for d in apart)), 3),
        "exact": min(float((d < ONE_STEP).mean()) for d in apart),
    }


def _all_steps(graph: Graph, outputs: Windows | str) -> list[NDArray[np.float64]] | str:
    """Return an interpreter's outputs in the steps of ours, or the reason why there are none."""
    if isinstance(outputs, str):
        return outputs
    values = [graph.values[name] for name in graph.outputs]
    if [y[0].size for y in outputs] != [int(np.prod(v.shape)) for v in values]:
        return f"its outputs have the shapes {[list(y.shape[1:]) for y in outputs]}"
    return [_steps(y.reshape(-1, *v.shape[1:]), v) for y, v in zip(outputs, values, strict=True)]


def _as_file(x: NDArray[np.int8], value: Value, tensor: FileTensor) -> NDArray[Any]:
    """Return int8 windows as the file takes them: float or uint8 at its edges, in its shape."""
    shaped = x.reshape(-1, *tensor.shape[1:])
    if tensor.dtype == "float32":
        return to_real(shaped, value.quantization)
    if tensor.dtype == "uint8":
        return (shaped.astype(np.int16) + UNSIGNED_OFFSET).astype(np.uint8)
    return shaped


def _steps(y: NDArray[Any], value: Value) -> NDArray[np.float64]:
    """Return an interpreter's outputs in the steps of ours."""
    if y.dtype == np.float32:
        return y / np.float64(value.quantization.scale) + value.quantization.zero_point
    steps: NDArray[np.float64] = y.astype(np.float64) - (UNSIGNED_OFFSET if y.dtype == np.uint8 else 0)
    return steps


def _onnxruntime_steps(data: bytes, integers: Graph, windows: Windows) -> list[NDArray[np.float64]] | str:
    real = tuple(to_real(x, integers.values[n].quantization) for x, n in zip(windows, integers.inputs, strict=True))
    return _all_steps(integers, _onnxruntime(data, integers, real, windows))


def _onnxruntime(data: bytes, graph: Graph, real: Windows, integers: Windows | None = None) -> Windows | str:
    """Run the file as it is: channels-first where our graph is not, integers where it takes integers."""
    import onnxruntime  # noqa: PLC0415 (an interpreter, imported on demand)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        feeds: dict[str, NDArray[Any]] = {}
        for index, source in enumerate(session.get_inputs()):
            x = real[index]
            if "float" not in source.type and integers is not None:
                x = integers[index].astype(np.int16) + (UNSIGNED_OFFSET if "uint8" in source.type else 0)
                x = x.astype(np.uint8 if "uint8" in source.type else np.int8)
            if tuple(source.shape[1:]) != x.shape[1:]:
                x = np.moveaxis(x, -1, 1)
            feeds[source.name] = np.ascontiguousarray(x)
        count = len(real[0])
        rows = [session.run(None, {name: x[i : i + 1] for name, x in feeds.items()}) for i in range(count)]
    except Exception as error:  # the runtime's own types have no common base
        return " ".join(str(error).split())[:200]
    return tuple(np.concatenate(column) for column in zip(*rows, strict=True))
