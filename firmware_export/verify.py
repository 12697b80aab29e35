"""The same int8 windows through every engine; differences reported, exact unless the table below says why not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import MissingExtraError, VerificationError
from edgehar.heads import decide
from firmware_export.graph import Graph
from firmware_export.ops import is_stateful
from firmware_export.reference import Windows, per_input, run

I8 = NDArray[np.int8]
Outputs = tuple[I8, ...]
Inputs = tuple[NDArray[Any], ...]  # one array [N, ...] an input


@dataclass(frozen=True)
class Candidate:
    """What is verified: one set of integers and the files that carry it."""

    graph: Graph
    tflite: bytes
    onnx: bytes | None


@dataclass(frozen=True)
class Bound:
    """How far an engine may be from the numpy reference, and why.

    Attributes:
        max_lsb: largest difference of an output.
        min_same_label: share of the clear decisions that must be the same, 0..1. A decision is clear when it leads by
            more than ``max_lsb`` steps: a near-tie may fall either way, which says something about the network (an
            undertrained one has many) and nothing about the engine. The report counts all decisions.
        reason: why it is not 0 and 1.
    """

    max_lsb: int
    min_same_label: float
    reason: str


@dataclass(frozen=True)
class EngineReport:
    """One engine against the numpy reference, over all outputs.

    Attributes:
        engine: key of ``ENGINES``.
        windows: how many were run; 0 where the engine needs something that is not on this computer.
        max_lsb: largest difference of an output.
        exact: share of outputs without a difference, 0..1.
        same_label: share of windows decided alike, 0..1: the same largest logit, or (heads that answer yes or no)
            the same answers; of several outputs the lowest.
        bound_lsb: largest difference allowed.
    """

    engine: str
    windows: int
    max_lsb: int
    exact: float
    same_label: float
    bound_lsb: int


@dataclass(frozen=True)
class VerificationReport:
    """All engines, within their bounds."""

    engines: tuple[EngineReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


def verify(
    graph: Graph,
    tflite: bytes,
    onnx: bytes | None,
    windows: Windows,
    expected: Outputs | None = None,
    *,
    kinds: Sequence[str] = (),
) -> VerificationReport:
    """Run the windows through all engines and compare with the numpy reference.

    Args:
        graph: the quantized graph.
        tflite: its ``.tflite``.
        onnx: its int8 QDQ ``.onnx``; None for int16 activations, ONNX Runtime is then left out. So is LiteRT where it
            has no kernel (:data:`WITHOUT_KERNEL`).
        windows: ``[N, T, C]`` of each input's type, quantized with its scale; :func:`verified_every` says which are
            run.
        expected: what the numpy reference gives for them, where the caller has it already.
        kinds: of each output's head, as in ``edgehar.heads.KINDS``; empty where all are multiclass.

    Raises:
        VerificationError: an engine is over its bound; names engine, window and values.
        MissingExtraError: an interpreter is not installed.
        UsageError: the windows do not fit.
    """
    candidate = Candidate(graph, tflite, onnx)
    windows = per_input(windows)
    step = verified_every(graph, len(windows[0]))
    windows = tuple(each[::step] for each in windows)
    expected = tuple(each[::step] for each in expected) if expected else run(graph, windows)
    kinds = tuple(kinds) or ("multiclass",) * len(expected)
    zeros = [graph.values[name].quantization.zero_point for name in graph.outputs]
    heads = list(zip(kinds, zeros, strict=True))
    engines = {name: engine for name, engine in ENGINES.items() if takes(name, candidate)}
    bounds = bounds_of(graph)
    reports = [
        compare(name, bounds[name], expected, engine(candidate, windows), heads) for name, engine in engines.items()
    ]
    return VerificationReport(tuple(reports))


def takes(engine: str, candidate: Candidate) -> bool:
    """Return whether an engine has a file and the kernels for a candidate."""
    if engine == "onnxruntime":
        return candidate.onnx is not None
    graph, without = candidate.graph, WITHOUT_KERNEL.get(engine, ())
    return not any((node.op, graph.values[node.output].dtype) in without for node in graph.nodes)


def verified_every(graph: Graph, windows: int) -> int:
    """Return k: every k-th of this many windows is verified, every one unless the network is recurrent."""
    return -(-windows // RECURRENT_WINDOWS) if is_stateful(graph) else 1


def bounds_of(graph: Graph) -> Mapping[str, Bound]:
    """Return the bound of each engine for a network with these ops."""
    tables = [BOUNDS]
    if is_stateful(graph):
        tables.append(RECURRENT_BOUNDS)
    if any(node.op == "batch_matmul" for node in graph.nodes):
        tables.append(ATTENTION_BOUNDS)
    if any(node.op == "l2_norm" and node.output in graph.outputs for node in graph.nodes):
        tables.append(UNIT_LENGTH_BOUNDS)
    if any(node.op == "softmax" and graph.values[node.output].dtype == "int16" for node in graph.nodes):
        tables.append(WIDE_SOFTMAX_BOUNDS)
    bounds = {engine: max((table[engine] for table in tables), key=lambda bound: bound.max_lsb) for engine in BOUNDS}
    if {graph.values[name].dtype for name in graph.outputs} == {"int16"} != _activation_types(graph):
        # an int8 step inside is many of an int16 output
        return {n: replace(bound, max_lsb=bound.max_lsb * INT8_STEP_IN_INT16) for n, bound in bounds.items()}
    return bounds


def _activation_types(graph: Graph) -> set[str]:
    return {graph.values[node.output].dtype for node in graph.nodes}


def compare(
    engine: str, bound: Bound, expected: Outputs, found: Outputs, heads: Sequence[tuple[str, int]]
) -> EngineReport:
    """Compare output by output; ``heads`` are (kind, zero point).

    Raises:
        VerificationError: the engine is over its bound.
    """
    worst, exact, same_label = 0, [], []
    allowed = f"are allowed ({bound.reason})"
    for a, b, (kind, zero) in zip(expected, found, heads, strict=True):
        difference = np.abs(a.astype(np.int32) - b)
        row = int(difference.reshape(len(a), -1).max(axis=1).argmax())
        worst = max(worst, int(difference.max()))
        exact.append(float((difference == 0).mean()))
        same = decide(kind, a, zero) == decide(kind, b, zero)
        same_label.append(float(same.mean()))
        if worst > bound.max_lsb:
            raise VerificationError(
                _message(engine, row, a, b, f"differs by {worst} LSB, at most {bound.max_lsb} {allowed}")
            )
        clear = lead(kind, a, zero) > bound.max_lsb
        flipped = clear & ~same
        if flipped.sum() > (1 - bound.min_same_label) * clear.sum():
            row = int(flipped.reshape(len(a), -1).any(axis=1).argmax())
            share = f"changes {int(flipped.sum())} of {int(clear.sum())} labels that lead by over {bound.max_lsb} LSB"
            share += f", at most {1 - bound.min_same_label:.2%}"
            raise VerificationError(_message(engine, row, a, b, f"{share} {allowed}"))
    return EngineReport(engine, len(expected[0]), worst, min(exact), min(same_label), bound.max_lsb)


def lead(kind: str, outputs: I8, zero: int) -> NDArray[np.int32]:
    """Return by how many steps each decision leads, ``[N, W]`` as ``decide`` has them.

    Multiclass: the largest output over the second largest. Yes or no: the output's distance from ``zero``.
    """
    wide = outputs.astype(np.int32)
    if kind != "multiclass":
        distance: NDArray[np.int32] = np.abs(wide - zero)
        return distance
    if wide.shape[-1] < 2:
        return np.full((len(wide), 1), np.iinfo(np.int32).max)
    largest_two: NDArray[np.int32] = np.sort(wide, axis=-1)[:, -2:]
    return np.diff(largest_two, axis=-1)


def _message(engine: str, row: int, expected: I8, found: I8, what: str) -> str:
    return (
        f"engine {engine!r} {what}; window {row}: numpy reference "
        f"{expected[row].tolist()}, {engine} {found[row].tolist()}; keep the .tflite and this window for a report"
    )


def _litert(candidate: Candidate, windows: Inputs, resolver: str) -> Outputs:
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("ai-edge-litert", "export", "verifying a .tflite in LiteRT") from None
    interpreter = Interpreter(
        model_content=candidate.tflite, num_threads=1, experimental_op_resolver_type=OpResolverType[resolver]
    )
    interpreter.allocate_tensors()
    sources = interpreter.get_input_details()
    sinks = interpreter.get_output_details()
    rows = []
    stateful = is_stateful(candidate.graph)
    for window in zip(*windows, strict=True):
        if stateful:
            interpreter.reset_all_variables()
        for source, array in zip(sources, window, strict=True):
            interpreter.set_tensor(source["index"], array[None])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(sink["index"]) for sink in sinks])
    return _columns(rows)


def run_litert_reference(candidate: Candidate, windows: Inputs) -> Outputs:
    """LiteRT with TFLite's reference kernels."""
    return _litert(candidate, windows, "BUILTIN_REF")


def run_litert_default(candidate: Candidate, windows: Inputs) -> Outputs:
    """LiteRT as it comes: XNNPACK."""
    return _litert(candidate, windows, "AUTO")


def run_tflm(candidate: Candidate, windows: Inputs) -> Outputs:
    """TFLite Micro's interpreter."""
    try:
        from tflite_micro import runtime  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("tflite-micro", "export", "verifying a .tflite in TFLite Micro") from None
    interpreter = runtime.Interpreter.from_bytes(candidate.tflite, arena_size=ARENA_BYTES)
    count = len(candidate.graph.outputs)
    rows = []
    stateful = is_stateful(candidate.graph)
    for window in zip(*windows, strict=True):
        if stateful:
            interpreter.reset()
        for i, array in enumerate(window):
            interpreter.set_input(array[None], i)
        interpreter.invoke()
        rows.append([interpreter.get_output(i) for i in range(count)])
    return _columns(rows)


def run_onnxruntime(candidate: Candidate, windows: Inputs) -> Outputs:
    """ONNX Runtime on the QDQ file."""
    try:
        import onnxruntime  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("onnxruntime", "export", "verifying an .onnx in ONNX Runtime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; the warnings are about its own graph rewriting
    session = onnxruntime.InferenceSession(candidate.onnx, options, providers=["CPUExecutionProvider"])
    names = [source.name for source in session.get_inputs()]
    rows = [{n: array[None] for n, array in zip(names, window, strict=True)} for window in zip(*windows, strict=True)]
    return _columns([session.run(None, row) for row in rows])


def _columns(rows: list[list[I8]]) -> Outputs:
    return tuple(np.concatenate(column) for column in zip(*rows, strict=True))


ARENA_BYTES = 4 * 2**20  # far above any HAR network; the interpreter's own guess is ten times the file

ENGINES: Mapping[str, Callable[[Candidate, Inputs], Outputs]] = {
    "litert_reference": run_litert_reference,
    "tflm": run_tflm,
    "litert": run_litert_default,
    "onnxruntime": run_onnxruntime,
}

BOUNDS: Mapping[str, Bound] = {
    "litert_reference": Bound(0, 1.0, "our arithmetic is defined as TFLite's reference kernels"),
    "tflm": Bound(0, 1.0, "the microcontroller's kernels compute the reference's bits"),
    "litert": Bound(3, 0.998, "XNNPACK rescales in float32 and rounds once, layer after layer"),
    "onnxruntime": Bound(3, 0.998, "ONNX Runtime rescales in float32 and rounds halves to even, layer after layer"),
}

WITHOUT_KERNEL: Mapping[str, Collection[tuple[str, str]]] = {  # engine: (op, type of its output)
    "litert_reference": [("lstm", "int16")],
    "litert": [("lstm", "int16")],
}

INT8_STEP_IN_INT16 = 256  # symmetric int16 over the same range

RECURRENT_WINDOWS = 256  # the integer LSTM of each interpreter takes 10 ms and more for a window of a BiLSTM 2 x 64

# A rounding that differs is fed back, and for a window near a turning point it grows: on a trained BiLSTM 2 x 64 one
# window was found 4 steps away in LiteRT (docs/decisions/0006).
SERIES_AND_TABLE = (
    "its LSTM computes sigmoid and tanh by gemmlowp's series where TFLM interpolates, and feeds that back"
)
RECURRENT_BOUNDS: Mapping[str, Bound] = {
    "litert_reference": Bound(16, 0.998, SERIES_AND_TABLE),
    "tflm": BOUNDS["tflm"],
    "litert": Bound(16, 0.998, f"{SERIES_AND_TABLE}; {BOUNDS['litert'].reason}"),
    "onnxruntime": Bound(16, 0.995, "ONNX has no integer LSTM: gates, cells and the state fed back stay float32"),
}

STEP_IN_SCORES = "a step of a score is a factor on an attention weight, which all columns then share"
ATTENTION_BOUNDS: Mapping[str, Bound] = {
    "litert_reference": BOUNDS["litert_reference"],
    "tflm": BOUNDS["tflm"],
    "litert": Bound(12, 0.995, f"{BOUNDS['litert'].reason}; {STEP_IN_SCORES}"),
    "onnxruntime": Bound(12, 0.995, f"{BOUNDS['onnxruntime'].reason}; {STEP_IN_SCORES}"),
}

STEP_OF_TABLE = "its table inside an int16 softmax differs from TFLM's by a step of 2^-15 here and there"
WIDE_SOFTMAX_BOUNDS: Mapping[str, Bound] = {
    "litert_reference": Bound(64, 0.999, STEP_OF_TABLE),
    "tflm": BOUNDS["tflm"],
    "litert": Bound(64, 0.999, STEP_OF_TABLE),
    "onnxruntime": BOUNDS["onnxruntime"],
}

STEP_BEFORE_LENGTH = "a step before the division by the length is several after it where the vector is short"
UNIT_LENGTH_BOUNDS: Mapping[str, Bound] = {
    "litert_reference": BOUNDS["litert_reference"],
    "tflm": BOUNDS["tflm"],
    "litert": Bound(16, 0.995, f"{BOUNDS['litert'].reason}; {STEP_BEFORE_LENGTH}"),
    "onnxruntime": Bound(16, 0.995, f"{BOUNDS['onnxruntime'].reason}; {STEP_BEFORE_LENGTH}"),
}
