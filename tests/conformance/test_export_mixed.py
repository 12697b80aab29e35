"""int8 and int16 activations in one network: the borders, any choice of layers, and the automatic one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import OpResolverType
from test_export_ops import run_litert, run_tflm
from torch import nn

from edgehar.errors import UsageError
from firmware_export.calibration import calibrate
from firmware_export.convert import Converted, convert
from firmware_export.graph import Graph, Node, Quantization, Value, assemble
from firmware_export.mixed import MARGIN_DB, NOT_RAISED, mixed_graph, with_readers
from firmware_export.onnx_reader import read_onnx
from firmware_export.ops.requantize import Requantize
from firmware_export.passes import PASSES, RANGE_PASSES, run_passes
from firmware_export.recipes import recipe_named
from firmware_export.reference import run, run_node
from firmware_export.sensitivity import layer_sensitivity, to_formats
from firmware_export.targets.tflite import write_tflite
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import verify

T, C = 40, 6
WINDOWS = np.random.default_rng(0).normal(size=(96, T, C)).astype(np.float32)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(("int8", "int16"), repeat=2)))
def test_a_border_is_exact_in_both_interpreters(source: str, target: str) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        values = [
            Value(name, (1, 9, 5), dtype, _quant(dtype, rng))  # type: ignore[arg-type]
            for name, dtype in (("x", source), ("y", target))
        ]
        graph = assemble(["x"], ["y"], [Node("requantize", "node", ("x",), ("y",), Requantize())], values)
        limits = np.iinfo(source)
        x = rng.integers(limits.min, limits.max + 1, (12, 9, 5)).astype(source)
        x[0], x[1] = limits.min, limits.max
        expected = run_node(graph, graph.nodes[0], {"x": x})
        file = write_tflite(graph, {})
        np.testing.assert_array_equal(run_tflm(file, [x]), expected)
        np.testing.assert_array_equal(run_litert(file, [x], OpResolverType.BUILTIN_REF), expected)


def _quant(dtype: str, rng: np.random.Generator) -> Quantization:
    scale = 0.05 * rng.uniform(0.3, 2) / (1 if dtype == "int8" else 256)
    return Quantization((float(np.float32(scale)),), int(rng.integers(-128, 128)) if dtype == "int8" else 0)


class Net(nn.Module):
    """Two branches that meet, a pool, and a layer at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(C, 8, 5), nn.Conv1d(C, 8, 5)
        self.c, self.d = nn.Conv1d(16, 12, 3, groups=4), nn.Conv1d(12, 12, 1)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.transpose(1, 2)
        y = torch.cat([self.a(x).relu(), self.b(x)], dim=1)
        y = self.c(torch.max_pool1d(y, 2)).relu()
        return self.fc((y + self.d(y)).mean(-1))


@pytest.fixture(scope="module")
def onnx() -> bytes:
    torch.manual_seed(0)
    return export_onnx(Net().eval(), torch.zeros(1, T, C))


@pytest.fixture(scope="module")
def calibrated(onnx: bytes) -> Graph:
    return run_passes(calibrate(run_passes(read_onnx(onnx), PASSES), WINDOWS), RANGE_PASSES)


def test_any_choice_of_layers_is_exact(calibrated: Graph) -> None:
    rng, outputs = np.random.default_rng(3), [node.output for node in calibrated.nodes]
    choices = [{o for o in outputs if rng.random() < 0.5} for _ in range(6)]
    for raised in [set(), set(outputs), *choices]:
        paired, integers = mixed_graph(calibrated, raised)
        fed = to_formats(integers, [WINDOWS[:16]])
        report = verify(integers, write_tflite(integers, {}), None, fed)
        exact = {e.engine: e.max_lsb for e in report.engines if e.engine != "litert"}
        assert exact == {"litert_reference": 0, "tflm": 0}
        np.testing.assert_array_equal(run(paired, WINDOWS)[0], run(calibrated, WINDOWS)[0])
        kinds = {value.dtype for value in integers.activations}
        assert kinds == ({"int8"} if not raised else {"int16"} if raised == set(outputs) else {"int8", "int16"})


def test_a_layer_is_raised_with_all_that_read_it(calibrated: Graph) -> None:
    one_side = next(node.output for node in calibrated.nodes if node.op == "conv1d")
    needed = with_readers(calibrated, one_side)
    assert needed is not None
    ops = {node.op for node in calibrated.nodes if node.output in needed}
    assert {"concat", "max_pool1d", "conv1d"} <= ops  # the other side of the concatenation too
    assert sum(node.op == "conv1d" and node.output in needed for node in calibrated.nodes) == 3


@pytest.mark.parametrize("recipe", ["mixed_wi8", "mixed_wi8_20db", "mixed_wi8_99db"])
def test_the_target_decides_how_many(recipe: str, onnx: bytes) -> None:
    converted = convert(onnx, WINDOWS, recipe)
    choice = converted.choice
    assert choice is not None
    assert choice.int8_db <= choice.logits_db <= choice.highest_db + 1
    assert [step.logits_db for step in choice.steps] == sorted(step.logits_db for step in choice.steps)
    if recipe == "mixed_wi8":
        assert choice.logits_db >= choice.target_db == choice.highest_db - MARGIN_DB and choice.steps
        assert converted.output_quants[0].dtype == "int16"
    elif recipe == "mixed_wi8_20db":
        assert not choice.steps and converted.output_quants[0].dtype == "int8"  # int8 is good enough
    else:
        assert choice.logits_db < choice.target_db
    _verify(converted)
    found = layer_sensitivity(converted.float_graph, converted.integers, WINDOWS)
    assert found.logits_db == pytest.approx(choice.logits_db, abs=1)


def _verify(converted: Converted) -> None:
    integers = converted.input_quants[0].quantize(WINDOWS)
    report = converted.verify(integers, converted.run(integers), ("multiclass",))
    assert {e.engine: e.max_lsb for e in report.engines if e.engine != "litert"} == {"litert_reference": 0, "tflm": 0}
    assert set(converted.files) == {"model_f32.onnx", "model_f32.tflite", "model_mixed.tflite"}


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc, self.out = nn.LSTM(C, 8, batch_first=True), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.fc(self.lstm(x)[0].mean(1)).relu())


def test_an_lstm_stays_int8() -> None:
    torch.manual_seed(0)
    converted = convert(export_onnx(Recurrent().eval(), torch.zeros(1, T, C)), WINDOWS, "mixed_wi8_99db")
    types = {node.op: converted.integers.values[node.output].dtype for node in converted.integers.nodes}
    assert types["lstm"] == "int8" and types["dense"] == "int16" and "lstm" in NOT_RAISED
    integers = converted.input_quants[0].quantize(WINDOWS)
    report = converted.verify(integers, converted.run(integers), ("multiclass",))
    assert {e.engine for e in report.engines} == {"litert_reference", "tflm", "litert"}


def test_the_recipe_says_how_many_db() -> None:
    assert recipe_named("mixed_wi8_36db").least_db == 36
    assert recipe_named("mixed_wi8").least_db is None
    with pytest.raises(UsageError, match="mixed_wi8_36db for 36 dB"):
        recipe_named("mixed_wi8_db")
