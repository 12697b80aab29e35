"""The same float windows through the file of a recipe with float activations and its numpy reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import VerificationError
from edgehar.heads import decide
from edgehar.precision import Precision
from firmware_export.graph import Graph
from firmware_export.hybrid import run_hybrid
from firmware_export.reference import Windows, per_input, run
from firmware_export.verify import ENGINES, Candidate, verified_every

F32 = NDArray[np.float32]

# Largest difference allowed, in standard deviations of the output. Float files: sums in another order. Hybrid kernels:
# such a sum pushes a number over a rounding step; XNNPACK rounds inputs by rules of its own, or not at all. TFLite
# Micro has no hybrid kernels, ONNX no such file.
BOUNDS: Mapping[Precision, Mapping[str, float]] = {
    Precision.DYNAMIC_WI8: {"litert_reference": 0.05, "litert": 0.2},
    Precision.FLOAT32: dict.fromkeys(ENGINES, 1e-3),
}


@dataclass(frozen=True)
class RealReport:
    """One engine against the reference.

    Attributes:
        engine: key of ``ENGINES``.
        windows: how many were run.
        max_sd: largest difference of an output, in standard deviations of that output over all windows.
        exact: share of outputs without a difference, 0..1; of several outputs the lowest.
        same_label: share of windows decided alike, 0..1; of several outputs the lowest.
        bound_sd: what ``max_sd`` may be.
    """

    engine: str
    windows: int
    max_sd: float
    exact: float
    same_label: float
    bound_sd: float


@dataclass(frozen=True)
class RealVerification:
    """All engines, within their bounds."""

    engines: tuple[RealReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


def run_real(precision: Precision, graph: Graph, windows: Windows) -> tuple[F32, ...]:
    """Return each output, ``[N, K]`` float32, of a recipe with float activations. Raises as the reference does."""
    return run_hybrid(graph, windows) if precision is Precision.DYNAMIC_WI8 else run(graph, windows)


def verify_real(
    precision: Precision,
    candidate: Candidate,
    windows: Windows,
    expected: tuple[F32, ...] | None = None,
    *,
    kinds: Sequence[str] = (),
) -> RealVerification:
    """Run the windows through every engine that takes the file and compare with the numpy reference.

    Args:
        precision: ``FLOAT32`` or ``DYNAMIC_WI8``.
        candidate: the float graph, or what :func:`firmware_export.hybrid.quantize_weights` returns, and its files.
        windows: ``[N, T, C]`` float32 of each input; :func:`verified_every` says which are run.
        expected: what the numpy reference gives for them, where the caller has it already.
        kinds: of each output's head, as in ``edgehar.heads.KINDS``; empty where all are multiclass.

    Raises:
        VerificationError: an output is over its bound.
        MissingExtraError: an interpreter is not installed.
        UsageError: the windows do not fit.
    """
    step = verified_every(candidate.graph, len(per_input(windows)[0]))
    given = tuple(each[::step] for each in per_input(windows))
    wanted = tuple(each[::step] for each in expected) if expected else run_real(precision, candidate.graph, given)
    heads = tuple(kinds) or ("multiclass",) * len(wanted)
    bounds = {n: bound for n, bound in BOUNDS[precision].items() if candidate.onnx is not None or n != "onnxruntime"}
    reports = [_compare(name, bound, wanted, ENGINES[name](candidate, given), heads) for name, bound in bounds.items()]
    return RealVerification(tuple(reports))


def _compare(
    engine: str, bound: float, expected: tuple[F32, ...], found: tuple[NDArray[Any], ...], kinds: Sequence[str]
) -> RealReport:
    largest, exact, same_label = 0.0, 1.0, 1.0
    for a, b, kind in zip(expected, found, kinds, strict=True):
        largest = max(largest, float(np.abs(a - b).max() / max(a.std(), np.finfo(np.float32).tiny)))
        exact = min(exact, float((a == b).mean()))
        same_label = min(same_label, float((decide(kind, a) == decide(kind, b)).mean()))
    if not largest <= bound:
        raise VerificationError(
            f"engine {engine!r} differs from the numpy reference by {largest:.3g} standard deviations of an output, "
            f"at most {bound} are allowed; keep the model file and the windows for a report"
        )
    return RealReport(engine, len(expected[0]), largest, exact, same_label, bound)
