"""int8 weights with float activations: every op that has such a kernel, and a whole network, in LiteRT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from export_cases import CASES, Case, float_graph
from tflite_micro import runtime
from torch import nn

from edgehar.errors import UsageError, VerificationError
from edgehar.precision import Precision
from firmware_export.convert import Converted, convert
from firmware_export.graph import Graph
from firmware_export.hybrid import HYBRID_OPS, quantize_weights, rounded_per_window, run_hybrid
from firmware_export.reference import run
from firmware_export.targets.tflite import write_tflite
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import Candidate
from firmware_export.verify_real import RealReport, verify_real

HYBRID_CASES = [case for op in HYBRID_OPS for case in CASES[op]]


def verify_hybrid(graph: Graph, tflite: bytes, windows: np.ndarray) -> tuple[RealReport, ...]:
    return verify_real(Precision.DYNAMIC_WI8, Candidate(graph, tflite, None), windows).engines


@pytest.mark.parametrize("case", HYBRID_CASES, ids=str)
def test_one_op_agrees_with_litert(case: Case) -> None:
    graph = quantize_weights(float_graph(case, 3))
    shape = graph.values[graph.inputs[0]].shape
    windows = np.random.default_rng(4).normal(size=(12, *shape[1:])).astype(np.float32)
    reports = {report.engine: report for report in verify_hybrid(graph, write_tflite(graph, {}), windows)}
    # one op has no rounding upstream of it: the integers are the same
    assert reports["litert_reference"].max_sd < 1e-4


def test_rounding_follows_each_window() -> None:
    x = np.array([[[-1.0, 0.0, 3.0]], [[0.0, 0.0, 0.0]], [[2.0, 4.0, 5.1]]], np.float32)
    found = rounded_per_window(x)
    np.testing.assert_allclose(found, x, atol=0.5 * 5.1 / 255 + 1e-6)
    assert (found[1] == 0).all() and found[0, 0, 1] == 0
    np.testing.assert_allclose(found[2] / (5.1 / 255), np.rint(found[2] / (5.1 / 255)), atol=1e-3)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(6, 16, 5), nn.ReLU(), nn.Conv1d(16, 16, 5, groups=16), nn.ReLU())
        self.fc = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.layers(x.transpose(1, 2)).mean(-1))


WINDOWS = np.random.default_rng(0).normal(size=(120, 40, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def converted() -> Converted:
    torch.manual_seed(0)
    return convert(export_onnx(Net().eval(), torch.zeros(1, 40, 6)), WINDOWS, "dynamic_wi8")


def test_network_in_litert(converted: Converted) -> None:
    assert converted.hybrid_graph is not None
    file = converted.files["model_w8.tflite"]
    assert set(converted.files) == {"model_f32.onnx", "model_f32.tflite", "model_w8.tflite"}
    assert len(file) < len(converted.files["model_f32.tflite"])
    reference, default = verify_hybrid(converted.hybrid_graph, file, WINDOWS)
    assert (reference.windows, default.windows) == (120, 120)
    assert min(reference.same_label, default.same_label) > 0.97  # untrained: many near-ties
    (expected,), (found,) = run(converted.float_graph, WINDOWS), run_hybrid(converted.hybrid_graph, WINDOWS)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.05 * expected.std()
    interpreter = Interpreter(model_content=file)
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert source["dtype"] == sink["dtype"] == np.float32


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.lstm(x)[0].mean(1))


def test_an_lstm_stays_float_beside_int8_layers() -> None:
    torch.manual_seed(0)
    module = Recurrent().eval()
    graph = convert(export_onnx(module, torch.zeros(1, 40, 6)), WINDOWS, "dynamic_wi8").hybrid_graph
    assert graph is not None
    with torch.no_grad():
        expected = module(torch.from_numpy(WINDOWS)).numpy()
    assert np.abs(run_hybrid(graph, WINDOWS)[0] - expected).max() < 0.05 * expected.std()


def test_another_networks_file_is_found_out(converted: Converted) -> None:
    graph = converted.hybrid_graph
    assert graph is not None
    values = dict(graph.values)
    name = next(n for n, v in values.items() if v.dtype == "int8")
    weight = values[name].data
    assert weight is not None
    other = replace(graph, values={**values, name: replace(values[name], data=(weight // 2).astype(np.int8))})
    with pytest.raises(VerificationError, match="litert_reference"):
        verify_hybrid(other, converted.files["model_w8.tflite"], WINDOWS)
    with pytest.raises(UsageError, match="windows are"):
        run_hybrid(graph, WINDOWS[:, :7])


def test_tflite_micro_refuses_it(converted: Converted) -> None:
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(converted.files["model_w8.tflite"], arena_size=2**16)
    assert {quant.dtype for quant in (*converted.input_quants, *converted.output_quants)} == {"float32"}
