"""int16 activations: every op and a whole network, bit for bit in LiteRT (with and without XNNPACK) and TFLM."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import OpResolverType
from export_cases import CASES, Case, float_graph
from test_export_ops import run_litert, run_tflm
from torch import nn

from edgehar.errors import UnsupportedOpError
from firmware_export.affine import to_integers, to_real
from firmware_export.convert import convert
from firmware_export.graph import Graph, Range, assemble
from firmware_export.passes import RANGE_PASSES, run_passes
from firmware_export.reference import run, run_node
from firmware_export.sensitivity import layer_sensitivity
from firmware_export.targets.tflite import write_tflite
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import verify
from firmware_export.wide import quantize_wide
from firmware_export.wide_kernels import KERNELS

LITERT_DIFFERS = {"softmax": 1}  # steps of 2^-15: an entry of its tables is rounded otherwise than TFLM's
WIDE_CASES = [case for op in KERNELS for case in CASES[op]]


def wide_graph(case: Case, seed: int) -> Graph:
    """The op over random float weights; ranges are drawn, so that outputs saturate and scales differ."""
    graph, rng = float_graph(case, seed), np.random.default_rng(seed)
    low, high = rng.uniform(-4, -0.1, 9), rng.uniform(0.1, 4, 9)
    ranged = [
        replace(v, range=Range(float(a), float(b))) for v, a, b in zip(graph.activations, low, high, strict=False)
    ]
    graph = assemble(graph.inputs, graph.outputs, graph.nodes, [*graph.values.values(), *ranged])
    return quantize_wide(run_passes(graph, RANGE_PASSES))


@pytest.mark.parametrize("case", WIDE_CASES, ids=str)
def test_one_op_is_exact_everywhere(case: Case) -> None:
    for seed in range(3):
        graph, rng = wide_graph(case, seed), np.random.default_rng(seed)
        shapes = [(12, *graph.values[name].shape[1:]) for name in graph.inputs]
        inputs = [rng.integers(-(2**15), 2**15, shape).astype(np.int16) for shape in shapes]
        for x in inputs:
            x[0], x[1] = -(2**15), 2**15 - 1
        expected = run_node(graph, graph.nodes[0], dict(zip(graph.inputs, inputs, strict=True)))
        file = write_tflite(graph, {})
        np.testing.assert_array_equal(run_tflm(file, inputs), expected)
        for resolver in (OpResolverType.BUILTIN_REF, OpResolverType.AUTO):
            if case.op == "lstm":
                with pytest.raises(RuntimeError, match="INT64 != FLOAT32"):
                    run_litert(file, inputs, resolver)
                continue
            found = run_litert(file, inputs, resolver).astype(int)
            assert np.abs(found - expected).max() <= LITERT_DIFFERS.get(case.op, 0)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(6, 16, 5), nn.ReLU(), nn.Conv1d(16, 16, 5, groups=16), nn.ReLU())
        self.fc = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.layers(x.transpose(1, 2)).mean(-1))


def test_network_is_exact_and_far_finer_than_int8() -> None:
    torch.manual_seed(0)
    windows = np.random.default_rng(0).normal(size=(100, 40, 6)).astype(np.float32)
    onnx = export_onnx(Net().eval(), torch.zeros(1, 40, 6))
    wide, narrow = (convert(onnx, windows, recipe) for recipe in ("static_wi8_ai16", "static_wi8_ai8"))
    assert set(wide.files) == {"model_f32.onnx", "model_f32.tflite", "model_i16.tflite"}
    graph = wide.integers
    assert {value.dtype for value in graph.activations} == {"int16"}
    source, sink = graph.values[graph.inputs[0]].quantization, graph.values[graph.outputs[0]].quantization
    integers = to_integers(windows, source, "int16")
    report = verify(graph, wide.files["model_i16.tflite"], None, integers)
    assert {e.engine: e.max_lsb for e in report.engines} == {"litert_reference": 0, "tflm": 0, "litert": 0}
    expected, found = run(wide.float_graph, windows)[0], to_real(run(graph, integers)[0], sink)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.02 * expected.std()  # what int8 weights leave
    costs = [layer_sensitivity(c.float_graph, c.integers, windows).layers for c in (wide, narrow)]
    inputs = [next(layer.logits_db for layer in layers if layer.op == "input") for layers in costs]
    assert inputs[0] is not None and inputs[1] is not None and inputs[0] > inputs[1] + 40  # 8 bits are 48 dB
    for recipe in ("static_wi8_ai8_percentile", "static_wi8_ai8_mse"):
        tighter = convert(onnx, windows, recipe)
        assert tighter.input_quants[0].scale < narrow.input_quants[0].scale and "model_i8.onnx" in tighter.files
    assert wide.input_quants[0].dtype == wide.output_quants[0].dtype == "int16"
    np.testing.assert_array_equal(wide.input_quants[0].quantize(windows), integers)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 8, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.lstm(x)[0].mean(1))


def test_an_lstm_is_tflm_s_alone_and_finer_than_int8() -> None:
    torch.manual_seed(0)
    windows = np.random.default_rng(0).normal(size=(64, 40, 6)).astype(np.float32)
    onnx = export_onnx(Recurrent().eval(), torch.zeros(1, 40, 6))
    errors = []
    for recipe in ("static_wi8_ai16", "static_wi8_ai8"):
        converted = convert(onnx, windows, recipe)
        integers = converted.input_quants[0].quantize(windows)
        outputs = converted.run(integers)
        report = converted.verify(integers, outputs, ("multiclass",))
        assert ("litert" in {e.engine for e in report.engines}) == (recipe == "static_wi8_ai8")
        assert next(e for e in report.engines if e.engine == "tflm").max_lsb == 0
        expected = run(converted.float_graph, windows)[0]
        errors.append(np.sqrt(np.mean((converted.output_quants[0].dequantize(outputs[0]) - expected) ** 2)))
    assert errors[0] < 0.6 * errors[1], errors


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(0.2 * torch.randn(1, 24, 8))
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
        self.fc = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.table
        weights = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2), dim=-1)
        return self.fc((weights @ self.v(x)).mean(1))


def test_attention() -> None:
    torch.manual_seed(1)
    windows = np.random.default_rng(0).normal(size=(64, 24, 8)).astype(np.float32)
    converted = convert(export_onnx(Attention().eval(), torch.zeros(1, 24, 8)), windows, "static_wi8_ai16")
    integers = converted.input_quants[0].quantize(windows)
    report = converted.verify(integers, converted.run(integers), ("multiclass",))
    assert {e.engine: e.max_lsb for e in report.engines}["tflm"] == 0


def test_an_op_without_an_int16_form_is_named() -> None:
    graph = float_graph(CASES["l2_norm"][0], 0)
    ranged = [replace(value, range=Range(-1.0, 1.0)) for value in graph.activations]
    graph = assemble(graph.inputs, graph.outputs, graph.nodes, [*graph.values.values(), *ranged])
    with pytest.raises(UnsupportedOpError, match=r"'l2_norm' \(node 'node'\) has no int16 form; the recipe mixed_wi8"):
        quantize_wide(graph)
