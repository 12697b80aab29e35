"""The one door from a float ONNX file to device files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from edgehar.errors import ExportError
from edgehar.signal import QuantParams
from firmware_export.calibration import calibrate
from firmware_export.graph import Graph
from firmware_export.hybrid import quantize_weights
from firmware_export.onnx_reader import read_onnx
from firmware_export.ops import node_macs
from firmware_export.passes import PASSES, RANGE_PASSES, run_passes
from firmware_export.quantize import quantize
from firmware_export.recipes import Precision, recipe_named
from firmware_export.reference import Windows
from firmware_export.targets import TARGETS
from firmware_export.targets.target import Sources
from firmware_export.wide import quantize_wide

QUANTIZERS: Mapping[Precision, Callable[[Graph], Graph]] = {
    Precision.STATIC_WI8_AI8: quantize,
    Precision.STATIC_WI8_AI16: quantize_wide,
}


@dataclass(frozen=True, eq=False)
class Converted:
    """What one conversion made.

    Attributes:
        recipe: name of the recipe.
        files: contents by file name (``model_f32.onnx``, ``model_i8.tflite``, ...).
        float_graph: after the passes.
        quantized_graph: the integers that every file holds; None under ``float32`` and ``dynamic_wi8``.
        hybrid_graph: what ``model_w8.tflite`` holds; None under other recipes than ``dynamic_wi8``.
        macs: multiply-accumulates of one window.
        parameters: weights and biases.
        timings_s: seconds spent in each stage.
    """

    recipe: str
    files: Mapping[str, bytes]
    float_graph: Graph
    quantized_graph: Graph | None
    hybrid_graph: Graph | None
    macs: int
    parameters: int
    timings_s: Mapping[str, float]

    @property
    def integers(self) -> Graph:
        """The quantized graph of an integer recipe.

        Raises:
            ExportError: the recipe has none.
        """
        if self.quantized_graph is None:
            raise ExportError(
                f"recipe {self.recipe!r} makes no integers: its files take float32 windows, a bundle's engines take "
                "int8; choose static_wi8_ai8 for a bundle"
            )
        return self.quantized_graph

    @property
    def input_quants(self) -> tuple[QuantParams, ...]:
        """How the device turns features into each int8 input, in order.

        Raises:
            ExportError: the recipe has no integers, or its activations are int16.
        """
        if self.integers.input_dtype != "int8":
            raise ExportError(
                f"recipe {self.recipe!r} takes {self.integers.input_dtype} windows, a bundle's engines take int8; "
                "choose static_wi8_ai8 for a bundle"
            )
        return tuple(_params(self.integers, name) for name in self.integers.inputs)

    @property
    def output_quants(self) -> tuple[QuantParams, ...]:
        """What the int8 logits of each output mean, in order. Raises as :attr:`integers`."""
        return tuple(_params(self.integers, name) for name in self.integers.outputs)


def convert(
    onnx: bytes,
    calibration: Windows,
    recipe: str = "static_wi8_ai8",
    metadata: Mapping[str, bytes] | None = None,
) -> Converted:
    """Return the device files of a float ONNX model.

    Args:
        onnx: the file; inputs ``[1, T, C]`` (or a stranger's ``[1, C, T]``) or ``[1, K]``, one or more outputs.
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
        graph = read_onnx(onnx)
    with _timed(timings, "passes"):
        float_graph = run_passes(graph, PASSES)
    quantized: Graph | None = None
    hybrid: Graph | None = None
    if chosen.precision is Precision.DYNAMIC_WI8:
        with _timed(timings, "quantize"):
            hybrid = quantize_weights(float_graph)
    if chosen.precision in QUANTIZERS:
        with _timed(timings, "calibrate"):
            calibrated = run_passes(calibrate(float_graph, calibration, chosen.ranges), RANGE_PASSES)
        with _timed(timings, "quantize"):
            quantized = QUANTIZERS[chosen.precision](calibrated)
    sources = Sources(onnx, float_graph, quantized, hybrid, metadata or {})
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
        macs=sum(node_macs(float_graph, node) for node in float_graph.nodes),
        parameters=float_graph.parameters,
        timings_s=timings,
    )


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start


def _params(graph: Graph, name: str) -> QuantParams:
    quant = graph.values[name].quantization
    return QuantParams(quant.scale, quant.zero_point)
