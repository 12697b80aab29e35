"""The one door from a float ONNX file to device files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgehar.errors import ExportError
from edgehar.precision import Precision
from edgehar.signal import FLOAT32, QuantParams
from firmware_export.calibration import calibrate
from firmware_export.graph import Graph
from firmware_export.hybrid import quantize_weights, run_hybrid
from firmware_export.mixed import Choice, choose
from firmware_export.onnx_reader import read_onnx
from firmware_export.ops import node_macs
from firmware_export.passes import PASSES, RANGE_PASSES, run_passes
from firmware_export.quantize import quantize
from firmware_export.recipes import recipe_named
from firmware_export.reference import Windows, run
from firmware_export.targets import TARGETS
from firmware_export.targets.target import Sources
from firmware_export.tflite_reader import is_tflite, read_tflite
from firmware_export.verify import Candidate, VerificationReport, verify
from firmware_export.verify_real import RealVerification, verify_real
from firmware_export.wide import quantize_wide

QUANTIZERS: Mapping[Precision, Callable[[Graph], Graph]] = {
    Precision.STATIC_WI8_AI8: quantize,
    Precision.STATIC_WI8_AI16: quantize_wide,
}

CALIBRATED = (*QUANTIZERS, Precision.MIXED_WI8)


@dataclass(frozen=True, eq=False)
class Converted:
    """What one conversion made.

    Attributes:
        recipe: name of the recipe.
        files: contents by file name (``model_f32.onnx``, ``model_i8.tflite``, ...).
        float_graph: after the passes.
        quantized_graph: the integers that every file holds; None under ``float32`` and ``dynamic_wi8``.
        hybrid_graph: what ``model_w8.tflite`` holds; None under other recipes than ``dynamic_wi8``.
        choice: which layers are int16 under a mixed recipe; None under others.
        macs: multiply-accumulates of one window.
        parameters: weights and biases.
        timings_s: seconds spent in each stage.
    """

    recipe: str
    files: Mapping[str, bytes]
    float_graph: Graph
    quantized_graph: Graph | None
    hybrid_graph: Graph | None
    choice: Choice | None
    macs: int
    parameters: int
    timings_s: Mapping[str, float]

    @property
    def precision(self) -> Precision:
        """What the recipe asks for."""
        return recipe_named(self.recipe).precision

    @property
    def integers(self) -> Graph:
        """The quantized graph of an integer recipe.

        Raises:
            ExportError: the recipe has none.
        """
        if self.quantized_graph is None:
            raise ExportError(f"recipe {self.recipe!r} makes no integers: its activations are float32")
        return self.quantized_graph

    @property
    def graph(self) -> Graph:
        """What the recipe's own file holds."""
        return self.quantized_graph or self.hybrid_graph or self.float_graph

    def file(self, extension: str) -> bytes | None:
        """Return the recipe's own ``tflite`` or ``onnx``; None where there is no such file."""
        return self.files.get(self.precision.model_file(extension))

    def run(self, windows: Windows) -> tuple[NDArray[Any], ...]:
        """Return each output ``[N, K]`` as the numpy reference of the recipe computes it.

        Args:
            windows: ``[N, ...]`` of each input in its format (:attr:`input_quants`).
        """
        return run(self.graph, windows) if self.hybrid_graph is None else run_hybrid(self.hybrid_graph, windows)

    def verify(
        self, windows: Windows, expected: tuple[NDArray[Any], ...], kinds: Sequence[str]
    ) -> VerificationReport | RealVerification:
        """Run the recipe's files in every engine that takes them and compare.

        Args:
            windows: ``[N, ...]`` of each input in its format.
            expected: what :meth:`run` gives for them.
            kinds: of each output's head, as in ``edgehar.heads.KINDS``.

        Raises:
            VerificationError: an engine is over its bound.
            MissingExtraError: an interpreter is not installed.
        """
        tflite, onnx = self.files[self.precision.model_file("tflite")], self.file("onnx")
        if self.quantized_graph is None:
            candidate = Candidate(self.graph, tflite, onnx)
            return verify_real(self.precision, candidate, windows, expected, kinds=kinds)
        return verify(self.quantized_graph, tflite, onnx, windows, expected, kinds=kinds)

    @property
    def input_quants(self) -> tuple[QuantParams, ...]:
        """The format of each input, in order: how the device makes it of features."""
        return tuple(_format(self.graph, name) for name in self.graph.inputs)

    @property
    def output_quants(self) -> tuple[QuantParams, ...]:
        """The format of each output, in order: what its logits mean."""
        return tuple(_format(self.graph, name) for name in self.graph.outputs)


def read_model(model: bytes) -> Graph:
    """Return the graph of an ``.onnx`` or ``.tflite`` file, whichever it is. Raises as the two readers do."""
    return read_tflite(model) if is_tflite(model) else read_onnx(model)


def convert(
    model: bytes,
    calibration: Windows,
    recipe: str = "static_wi8_ai8",
    metadata: Mapping[str, bytes] | None = None,
) -> Converted:
    """Return the device files of a float model.

    Args:
        model: an ``.onnx`` file, or a ``.tflite`` of the other converter; inputs ``[1, T, C]`` (or a stranger's
            ``[1, C, T]``) or ``[1, K]``, one or more outputs.
        calibration: ``[N, T, C]`` training windows of each input as the network sees them; a few hundred are enough.
        recipe: a name of ``RECIPES``.
        metadata: named bytes to carry inside the ``.tflite`` files.

    Raises:
        UnsupportedOpError: an operator is not known; names operator, node and place.
        ExportError: the file is not readable or takes NaN or infinite values.
        UsageError: the recipe is not known or the windows do not fit.
    """
    chosen = recipe_named(recipe)
    timings: dict[str, float] = {}
    with _timed(timings, "read"):
        graph = read_model(model)
    with _timed(timings, "passes"):
        float_graph = run_passes(graph, PASSES)
    quantized: Graph | None = None
    hybrid: Graph | None = None
    if chosen.precision is Precision.DYNAMIC_WI8:
        with _timed(timings, "quantize"):
            hybrid = quantize_weights(float_graph)
    choice: Choice | None = None
    if chosen.precision in CALIBRATED:
        with _timed(timings, "calibrate"):
            calibrated = run_passes(calibrate(float_graph, calibration, chosen.ranges), RANGE_PASSES)
        with _timed(timings, "quantize"):
            if chosen.precision is Precision.MIXED_WI8:
                choice, float_graph, quantized = choose(calibrated, calibration, chosen.least_db)
            else:
                quantized = QUANTIZERS[chosen.precision](calibrated)
    sources = Sources(
        None if is_tflite(model) else model, chosen.precision, float_graph, quantized, hybrid, metadata or {}
    )
    files: dict[str, bytes] = {}
    for name, target in TARGETS.items():
        with _timed(timings, f"write_{name}"):
            files.update(target.files(sources))
    return Converted(
        recipe=recipe,
        files=files,
        float_graph=float_graph,
        quantized_graph=quantized,
        hybrid_graph=hybrid,
        choice=choice,
        macs=sum(node_macs(float_graph, node) for node in float_graph.nodes),
        parameters=float_graph.parameters,
        timings_s=timings,
    )


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start


def _format(graph: Graph, name: str) -> QuantParams:
    value = graph.values[name]
    if value.dtype == "float32":
        return FLOAT32
    return QuantParams(value.quantization.scale, value.quantization.zero_point, value.dtype)
