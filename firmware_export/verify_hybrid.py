"""The same float windows through a hybrid ``.tflite`` and its numpy reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import MissingExtraError, VerificationError
from firmware_export.graph import Graph
from firmware_export.hybrid import run_hybrid
from firmware_export.reference import Windows, per_input

F32 = NDArray[np.float32]

RESOLVERS: Mapping[str, str] = {"litert_reference": "BUILTIN_REF", "litert": "AUTO"}
# Largest difference allowed, in standard deviations of the output. The reference kernels differ where float32 sums
# in another order push a number over a rounding step; XNNPACK rounds inputs by rules of its own, or not at all.
BOUNDS: Mapping[str, float] = {"litert_reference": 0.05, "litert": 0.2}


@dataclass(frozen=True)
class HybridReport:
    """One interpreter against the reference.

    Attributes:
        engine: key of ``RESOLVERS``.
        windows: how many were run.
        largest: largest difference of an output, in standard deviations of that output over all windows.
        same_label: share of windows whose largest logit is the same, 0..1; of several outputs the lowest.
        bound: what ``largest`` may be.
    """

    engine: str
    windows: int
    largest: float
    same_label: float
    bound: float


def verify_hybrid(graph: Graph, tflite: bytes, windows: Windows) -> tuple[HybridReport, ...]:
    """Run the windows through LiteRT and compare with the numpy reference. TFLite Micro has no hybrid kernels.

    Args:
        graph: what :func:`firmware_export.hybrid.quantize_weights` returns.
        tflite: its file.
        windows: ``[N, T, C]`` float32 of each input.

    Raises:
        VerificationError: an output is over its bound.
        MissingExtraError: LiteRT is not installed.
        UsageError: the windows do not fit.
    """
    expected = run_hybrid(graph, windows)
    return tuple(_compare(engine, expected, _litert(tflite, windows, engine)) for engine in RESOLVERS)


def _compare(engine: str, expected: tuple[F32, ...], found: tuple[F32, ...]) -> HybridReport:
    largest, same_label = 0.0, 1.0
    for a, b in zip(expected, found, strict=True):
        largest = max(largest, float(np.abs(a - b).max() / max(a.std(), np.finfo(np.float32).tiny)))
        same_label = min(same_label, float(np.mean(a.argmax(axis=-1) == b.argmax(axis=-1))))
    if not largest <= BOUNDS[engine]:
        raise VerificationError(
            f"engine {engine!r} differs from the numpy reference by {largest:.3g} standard deviations of an output, "
            f"at most {BOUNDS[engine]} are allowed; keep the .tflite and the windows for a report"
        )
    return HybridReport(engine, len(expected[0]), largest, same_label, BOUNDS[engine])


def _litert(tflite: bytes, windows: Windows, engine: str) -> tuple[F32, ...]:
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("ai-edge-litert", "export", "verifying a .tflite in LiteRT") from None
    resolver = OpResolverType[RESOLVERS[engine]]
    interpreter = Interpreter(model_content=tflite, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    sources = interpreter.get_input_details()
    sinks = interpreter.get_output_details()
    rows = []
    for window in zip(*per_input(windows), strict=True):
        for source, array in zip(sources, window, strict=True):
            interpreter.set_tensor(source["index"], array[None])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(sink["index"]) for sink in sinks])
    return tuple(np.concatenate(column) for column in zip(*rows, strict=True))
