"""Whole networks from random torch weights: torch to ONNX to integers to files, through all five engines."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tflite_micro import runtime
from torch import nn

from edgehar.errors import ExportError, VerificationError
from firmware_export.convert import Converted, convert
from firmware_export.reference import run
from firmware_export.targets.tflite import write_tflite
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import BOUNDS, ENGINES, verify

T, C, K = 128, 9, 6
WINDOWS = 150


class Cnn1d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool, self.fc = nn.Conv1d(C, 8, 16), nn.MaxPool1d(16, 2), nn.Linear(392, K)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.pool(torch.relu(self.conv(x.transpose(1, 2)))).flatten(1))


class DsCnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv1d(C, 24, 5, stride=2, bias=False), nn.BatchNorm1d(24), nn.ReLU()]
        for before, after in ((24, 32), (32, 48)):
            layers += [nn.Conv1d(before, before, 5, groups=before, bias=False), nn.BatchNorm1d(before), nn.ReLU()]
            layers += [nn.Conv1d(before, after, 1, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
        self.layers, self.fc = nn.Sequential(*layers), nn.Linear(48, K)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.layers(x.transpose(1, 2)).mean(-1))


@dataclass(frozen=True)
class Exported:
    module: nn.Module
    onnx: bytes
    converted: Converted
    windows: NDArray[np.float32]

    @property
    def integers(self) -> NDArray[np.int8]:
        return self.converted.input_quants[0].quantize(self.windows)


NETWORKS = {"cnn1d": Cnn1d, "ds_cnn": DsCnn}
# bytes of model_i8.tflite, TFLM arena, MACs, parameters: a change of more than a few bytes wants a look
SIZES = {"cnn1d": (6_000, 4_300, 132_528, 3_518), "ds_cnn": (12_300, 8_500, 210_336, 4_118)}


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request: pytest.FixtureRequest) -> Exported:
    torch.manual_seed(0)
    module = NETWORKS[request.param]()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d):
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.1, 0.5)
    module.eval()
    windows = np.random.default_rng(1).normal(size=(WINDOWS, T, C)).astype(np.float32)
    onnx = export_onnx(module, torch.zeros(1, T, C))
    converted = convert(onnx, windows[:64], "static_wi8_ai8", metadata={"edgehar": b'{"window": 128}'})
    return Exported(module, onnx, converted, windows)


def name_of(exported: Exported) -> str:
    return next(name for name, kind in NETWORKS.items() if isinstance(exported.module, kind))


def tflm_takes(file: bytes, arena: int) -> bool:
    try:
        runtime.Interpreter.from_bytes(file, arena_size=arena)
    except RuntimeError:
        return False
    return True


def test_engines_agree(exported: Exported) -> None:
    files = exported.converted.files
    report = verify(exported.converted.integers, files["model_i8.tflite"], files["model_i8.onnx"], exported.integers)
    assert [e.engine for e in report.engines] == list(ENGINES) == list(BOUNDS)
    assert {e.engine: e.max_lsb for e in report.engines if e.bound_lsb == 0} == {"litert_reference": 0, "tflm": 0}
    assert all(e.windows == WINDOWS for e in report.engines)
    assert report.to_dict()["engines"][0]["exact"] == 1.0


def test_float_and_int8_follow_torch(exported: Exported) -> None:
    with torch.no_grad():
        expected = exported.module(torch.from_numpy(exported.windows)).numpy()
    (found,) = run(exported.converted.float_graph, exported.windows)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    (quant,) = exported.converted.output_quants
    (q,) = run(exported.converted.integers, exported.integers)
    error = quant.dequantize(q) - expected
    assert np.sqrt(np.mean(error**2)) < 0.05 * np.std(expected)  # 26 dB of signal to quantization noise


def test_files_are_small_and_run_in_the_plain_interpreter(exported: Exported) -> None:
    files, converted = exported.converted.files, exported.converted
    assert set(files) == {"model_f32.onnx", "model_i8.onnx", "model_f32.tflite", "model_i8.tflite"}
    assert files["model_f32.onnx"] == exported.onnx
    size, arena, macs, parameters = SIZES[name_of(exported)]
    assert (converted.macs, converted.parameters) == (macs, parameters)
    assert len(files["model_i8.tflite"]) < size
    assert tflm_takes(files["model_i8.tflite"], arena)
    for name, dtype in (("model_i8.tflite", np.int8), ("model_f32.tflite", np.float32)):
        interpreter = Interpreter(model_content=files[name])
        interpreter.allocate_tensors()
        (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert (source["name"], source["shape"].tolist(), source["dtype"]) == ("features", [1, T, C], dtype)
        assert (sink["name"], sink["shape"].tolist(), sink["dtype"]) == ("logits", [1, K], dtype)
        x = exported.integers if dtype is np.int8 else exported.windows
        interpreter.set_tensor(source["index"], x[:1])
        interpreter.invoke()
        graph = converted.integers if dtype is np.int8 else converted.float_graph
        tolerance = 3 if dtype is np.int8 else 1e-4  # the bound of XNNPACK; float32 sums in another order
        found = interpreter.get_tensor(sink["index"]).astype(np.float64)
        np.testing.assert_allclose(found, run(graph, x[:1])[0], atol=tolerance)


def test_buffers_are_aligned_and_old_readers_are_served(exported: Exported) -> None:
    for name in ("model_i8.tflite", "model_f32.tflite"):
        file = exported.converted.files[name]
        assert schema.Model.ModelBufferHasIdentifier(file, 0)
        model = schema.Model.GetRootAsModel(file, 0)
        offsets = []
        for i in range(model.BuffersLength()):
            data = model.Buffers(i).DataAsNumpy()
            if isinstance(data, np.ndarray):
                offsets.append(data.ctypes.data - np.frombuffer(file, np.uint8).ctypes.data)
        assert len(offsets) > 4 and all(offset % 16 == 0 for offset in offsets)
        codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
        assert all(c.DeprecatedBuiltinCode() == c.BuiltinCode() < 127 for c in codes)
        versions = {c.BuiltinCode(): c.Version() for c in codes}
        assert versions[schema.BuiltinOperator.CONV_2D] == (3 if name == "model_i8.tflite" else 1)
        entry = model.Metadata(0)
        assert entry.Name() == b"edgehar"
        assert model.Buffers(entry.Buffer()).DataAsNumpy().tobytes() == b'{"window": 128}'


def test_only_the_ends_are_reshaped(exported: Exported) -> None:
    model = schema.Model.GetRootAsModel(exported.converted.files["model_i8.tflite"], 0)
    graph = model.Subgraphs(0)
    codes = [
        model.OperatorCodes(graph.Operators(i).OpcodeIndex()).BuiltinCode() for i in range(graph.OperatorsLength())
    ]
    reshapes = [i for i, code in enumerate(codes) if code == schema.BuiltinOperator.RESHAPE]
    assert reshapes == [0, len(codes) - 1]


def test_conversion_is_deterministic_and_fast(exported: Exported) -> None:
    again = convert(exported.onnx, exported.windows[:64], "static_wi8_ai8", metadata={"edgehar": b'{"window": 128}'})
    assert again.files == exported.converted.files
    assert sum(again.timings_s.values()) < 2  # measured 0.03 s


def test_float_recipe_has_no_integers(exported: Exported) -> None:
    converted = convert(exported.onnx, exported.windows[:1], "float32")
    assert set(converted.files) == {"model_f32.onnx", "model_f32.tflite"}
    assert converted.input_quants[0].dtype == "float32"
    with pytest.raises(ExportError, match="recipe 'float32' makes no integers"):
        _ = converted.integers


def test_a_changed_weight_is_found_and_located(exported: Exported) -> None:
    converted = exported.converted
    graph = converted.integers
    name = next(n for n, v in graph.values.items() if v.data is not None and v.dtype == "int8")
    data = graph.values[name].data
    assert data is not None
    tampered = converted.files["model_i8.tflite"].replace(data.tobytes(), (data ^ 16).tobytes())
    assert tampered != converted.files["model_i8.tflite"]
    with pytest.raises(VerificationError, match=r"engine 'litert_reference' differs by \d+ LSB.*window \d+: numpy"):
        verify(graph, tampered, converted.files["model_i8.onnx"], exported.integers[:20])


def test_metadata_is_optional(exported: Exported) -> None:
    assert len(write_tflite(exported.converted.integers, {})) < len(exported.converted.files["model_i8.tflite"])


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, firmware_export.convert, firmware_export.verify, firmware_export.to_onnx\n"
        "heavy = {'torch', 'scipy', 'onnxruntime', 'tflite_micro', 'onnxscript'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
