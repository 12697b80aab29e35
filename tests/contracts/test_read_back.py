"""Every architecture of the registry: what our writers make, our readers read, down to the last bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from model_fixtures import model_inputs, model_tensors, tiny_model
from numpy.typing import NDArray

from edgehar.models import MODELS
from firmware_export.calibration import calibrate
from firmware_export.convert import Converted, convert
from firmware_export.graph import Graph
from firmware_export.onnx_reader import read_onnx
from firmware_export.ops import is_stateful
from firmware_export.passes import LAYOUT_PASSES, PASSES, RANGE_PASSES, run_passes
from firmware_export.quantize import quantize
from firmware_export.reference import run
from firmware_export.targets.tflite import write_tflite
from firmware_export.tflite_reader import read_tflite
from firmware_export.to_onnx import export_onnx


@dataclass(frozen=True)
class Made:
    converted: Converted
    windows: tuple[NDArray[np.float32], ...]

    @property
    def integers(self) -> list[NDArray[np.int8]]:
        return [q.quantize(x) for q, x in zip(self.converted.input_quants, self.windows, strict=True)]

    def gives_the_same(self, graph: Graph) -> None:
        for ours, back in zip(run(self.converted.integers, self.integers), run(graph, self.integers), strict=True):
            np.testing.assert_array_equal(ours, back)


@pytest.fixture(scope="module", params=MODELS)
def made(request: pytest.FixtureRequest) -> Made:
    network, fed = tiny_model(request.param), model_tensors(request.param, 48)
    network(*fed)  # moves batch norm's statistics off their start
    inputs = [each.name for each in model_inputs(request.param)]
    windows = tuple(x.numpy() for x in fed)
    return Made(convert(export_onnx(network.eval(), fed, inputs=inputs), windows), windows)


def test_int8_tflite(made: Made) -> None:
    again = run_passes(read_tflite(made.converted.files["model_i8.tflite"]), LAYOUT_PASSES)
    made.gives_the_same(again)
    assert sorted(n.op for n in again.nodes) == sorted(n.op for n in made.converted.integers.nodes)
    made.gives_the_same(read_tflite(write_tflite(again, {})))


def test_float_tflite(made: Made) -> None:
    again = run_passes(read_tflite(made.converted.files["model_f32.tflite"]), PASSES)
    for ours, back in zip(run(made.converted.float_graph, made.windows), run(again, made.windows), strict=True):
        np.testing.assert_array_equal(ours, back)
    made.gives_the_same(quantize(run_passes(calibrate(again, made.windows), RANGE_PASSES)))


def constants(graph: Graph) -> list[bytes]:
    return sorted(value.data.tobytes() for value in graph.values.values() if value.data is not None)


def test_int8_onnx(made: Made) -> None:
    """The QDQ file fixes everything but the scale of an LSTM's cells, which it computes in float."""
    again = run_passes(read_onnx(made.converted.files["model_i8.onnx"]), PASSES)
    if not is_stateful(again):
        made.gives_the_same(quantize(run_passes(again, RANGE_PASSES)))
        return
    graph = quantize(run_passes(calibrate(again, made.windows), RANGE_PASSES))
    assert constants(graph) == constants(made.converted.integers)
    for ours, back in zip(run(made.converted.integers, made.integers), run(graph, made.integers), strict=True):
        # weights are rounded now, so the largest cell may be on the other side of a power of two
        assert np.abs(ours.astype(int) - back).max() <= 2
