"""The other way in: modules that the ONNX reader refuses, through litert-torch's float file to integers and C."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from litert_modules import CHANNELS, CLASSES, FOLDER, MODULES, WINDOW, module

from edgehar.cli import main
from edgehar.errors import ExportError, MissingExtraError, UnsupportedOpError
from firmware_export.convert import convert
from firmware_export.foreign import import_model, read_foreign
from firmware_export.onnx_reader import read_onnx
from firmware_export.passes import PASSES, run_passes
from firmware_export.reference import run
from firmware_export.tflite_reader import read_tflite
from firmware_export.to_litert import export_litert
from firmware_export.to_onnx import export_onnx


def windows(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, WINDOW, CHANNELS)).astype(np.float32)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_the_onnx_door_refuses_comes_in_by_the_other(name: str) -> None:
    network = module(name)
    with pytest.raises(UnsupportedOpError, match=r"ONNX operator (Split|Reshape)"):
        read_onnx(export_onnx(network, torch.zeros(1, WINDOW, CHANNELS)))
    file = (FOLDER / f"{name}.tflite").read_bytes()
    x = windows(40)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(run(run_passes(read_tflite(file), PASSES), x)[0], expected, rtol=1e-4, atol=1e-6)
    imported = import_model(read_foreign(name, file), (x,), ("tflite", "c"), "static_wi8_ai8")
    verification = imported.report["verification"]
    assert {e["engine"] for e in verification["engines"] if e["max_lsb"] == 0} >= {"litert_reference", "tflm", "c"}
    assert verification["source"]["float"]["largest_relative_difference"] < 1e-5
    assert verification["source"]["quantization"][0]["snr_db"] > 20


def test_convert_takes_either_file() -> None:
    converted = convert((FOLDER / "heads.tflite").read_bytes(), windows(20))
    assert "model_f32.onnx" not in converted.files
    assert {"model_f32.tflite", "model_i8.tflite", "model_i8.onnx"} <= set(converted.files)
    (logits,) = converted.run(converted.input_quants[0].quantize(windows(3)))
    assert logits.shape == (3, CLASSES)


def test_converter_asks_for_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edgehar\[litert\]'"):
        export_litert(module("heads"), [torch.zeros(1, WINDOW, CHANNELS)])


def test_converter_hands_over_the_module_and_leaves_it_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """litert-torch itself is too large to install here; what it made of these modules is kept beside this test."""
    seen = []

    def follow(network: torch.nn.Module, examples: tuple[torch.Tensor, ...]) -> SimpleNamespace:
        seen.append((network.training, [tuple(x.shape) for x in examples]))
        return SimpleNamespace(export=lambda path: Path(path).write_bytes((FOLDER / "heads.tflite").read_bytes()))

    def stumble(network: torch.nn.Module, examples: tuple[torch.Tensor, ...]) -> None:
        raise RuntimeError("no lowering for aten.odd\nat great length")

    stand_in = ModuleType("litert_torch")
    monkeypatch.setitem(sys.modules, "litert_torch", stand_in)
    stand_in.convert = follow  # type: ignore[attr-defined]
    network = module("heads").train()
    file = export_litert(network, [torch.zeros(1, WINDOW, CHANNELS)])
    assert file == (FOLDER / "heads.tflite").read_bytes()
    assert seen == [(False, [(1, WINDOW, CHANNELS)])] and network.training
    stand_in.convert = stumble  # type: ignore[attr-defined]
    with pytest.raises(ExportError, match=r"litert-torch cannot convert Heads: no lowering for aten.odd$"):
        export_litert(network, [torch.zeros(1, WINDOW, CHANNELS)])


def test_converter_belongs_to_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", "--from", str(FOLDER / "heads.tflite"), "--converter", "litert", "--out", "nowhere"]
    assert main(arguments) == 2
    assert "--converter belongs to a run" in capsys.readouterr().err
