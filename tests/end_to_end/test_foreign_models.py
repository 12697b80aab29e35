"""``edgehar export --from``: somebody else's file in, verified device files out; wrong use exits with 2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from foreign_networks import keyword
from onnx import TensorProto, helper, numpy_helper
from tflite_files import TfliteFile

from edgehar.cli import main
from edgehar.errors import UsageError
from firmware_export import source_runner
from firmware_export.calibration_file import read_windows
from firmware_export.graph import Graph
from firmware_export.reference import run
from firmware_export.tflite_reader import read_tflite

ZOO = Path(__file__).parents[2] / "edgehar/zoo/ds_cnn_3k.edgehar"


def float_file() -> bytes:
    """Ten steps of three channels, channels first, through a convolution and a dense layer."""
    rng = np.random.default_rng(0)
    file = TfliteFile()
    x, lifted, turned = file.tensor((1, 3, 10), name="imu"), file.tensor((1, 3, 1, 10)), file.tensor((1, 1, 10, 3))
    conv, flat, y = file.tensor((1, 1, 8, 4)), file.tensor((1, 32)), file.tensor((1, 5), name="logits")
    file.add("RESHAPE", [x, file.numbers([1, 3, 1, 10])], [lifted])
    file.add("TRANSPOSE", [lifted, file.numbers([0, 2, 3, 1])], [turned])
    weights = [
        file.tensor((4, 1, 3, 3), data=rng.normal(size=(4, 1, 3, 3))),
        file.tensor((4,), data=rng.normal(size=4)),
    ]
    file.add("CONV_2D", [turned, *weights], [conv], padding=1, strideH=1, strideW=1, fusedActivationFunction=1)
    file.add("RESHAPE", [conv, file.numbers([1, 32])], [flat])
    weights = [file.tensor((5, 32), data=rng.normal(size=(5, 32))), file.tensor((5,), data=rng.normal(size=5))]
    file.add("FULLY_CONNECTED", [flat, *weights], [y])
    return file.finish([x], [y])


def export(folder: Path, name: str, data: bytes, *options: str) -> int:
    (folder / name).write_bytes(data)
    return main(["export", "--from", str(folder / name), "--out", str(folder / "out"), *options])


def test_int8_network_to_every_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = keyword(small=True)
    code = export(tmp_path, "words.tflite", file, "--target", "tflite,onnx,c", "--json", str(tmp_path / "j.json"))
    assert (code, "words.tflite, integers of the file" in " ".join(capsys.readouterr().out.split())) == (0, True)
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report == json.loads((tmp_path / "j.json").read_text())
    assert report["ops"]["conv2d"] == 2 and report["inputs"][0]["shape"] == [1, 11, 6, 1]
    engines = {row["engine"]: row for row in report["verification"]["engines"]}
    assert {name for name, row in engines.items() if row["bound_lsb"] == 0} == {"litert_reference", "tflm", "c"}
    assert all(row["max_lsb"] == 0 for row in engines.values() if row["bound_lsb"] == 0)
    source = {row["engine"]: row for row in report["verification"]["source"]["engines"]}
    assert source["tflm"]["exact"] == 1.0 and source["tflm"]["windows"] == 64
    written = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert written == {*report["files"], "report.json"}
    assert {"model_i8.tflite", "model_i8.onnx", "c/har_model.c", "c/har_model.h"} <= written
    graph, again = read_tflite(file), read_tflite((tmp_path / "out/model_i8.tflite").read_bytes())
    x = np.random.default_rng(1).integers(-128, 128, (9, 11, 6, 1)).astype(np.int8)
    np.testing.assert_array_equal(run(graph, x)[0], run(again, x)[0])


def test_float_network_needs_windows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tmp_path, "net.tflite", float_file()) == 2
    error = capsys.readouterr().err
    assert "no scales for" in error and "--calibration FILE.npz with imu[N, 3, 10]" in error
    assert not (tmp_path / "out").exists()
    np.savez(tmp_path / "w.npz", np.random.default_rng(0).normal(size=(40, 3, 10)))
    code = export(tmp_path, "net.tflite", float_file(), "--calibration", str(tmp_path / "w.npz"), "--target", "tflite")
    assert code == 0
    source = json.loads((tmp_path / "out/report.json").read_text())["verification"]["source"]
    assert source["engines"] == [] and source["float"]["largest_relative_difference"] < 1e-5
    assert source["quantization"][0]["snr_db"] > 30
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"model_i8.tflite", "report.json"}


def test_float_onnx_is_compared_with_onnxruntime(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.normal(size=(4, 7)).astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)],
        "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 7])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "w.csv").write_text("\n".join(",".join(map(str, row)) for row in rng.normal(size=(30, 7)).tolist()))
    options = ("--calibration", str(tmp_path / "w.csv"), "--target", "onnx")
    assert export(tmp_path, "dense.onnx", model.SerializeToString(), *options) == 0
    source = json.loads((tmp_path / "out/report.json").read_text())["verification"]["source"]
    assert source["float"] == {"engine": "onnxruntime", "windows": 30} | source["float"]
    assert source["engines"] == [] and source["quantization"][0]["snr_db"] > 30


def test_our_own_qdq_file_keeps_its_integers(tmp_path: Path) -> None:
    code = export(tmp_path, "zoo.onnx", (ZOO / "model_i8.onnx").read_bytes(), "--target", "tflite")
    assert code == 0
    ours, back = (read_tflite((p / "model_i8.tflite").read_bytes()) for p in (ZOO, tmp_path / "out"))
    shape = ours.values[ours.inputs[0]].shape
    x = np.random.default_rng(1).integers(-128, 128, (50, *shape[1:])).astype(np.int8)
    np.testing.assert_array_equal(run(ours, x)[0], run(back, x)[0])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["RUN", "--from", "words.tflite"], "name either a run folder or"),
        ([], "name either a run folder or"),
        (["--from", "nothing.tflite"], "nothing.tflite: cannot be read"),
        (["--from", "words.tflite", "--target", "rust"], "no target 'rust'; there are tflite, onnx, c"),
        (["--from", "words.tflite", "--target", ","], "no target"),
        (["--from", "words.tflite", "--recipe", "float32"], "recipe 'float32' is not for somebody else's file"),
        (["--from", "words.tflite", "--slim"], "--slim belongs to a run"),
        (["--from", "words.tflite", "--calibration", "x.txt"], "expected .npz, .npy or .csv"),
        (["RUN", "--calibration", "x.npz"], "--calibration belongs to --from"),
    ],
)
def test_wrong_use(
    arguments: list[str],
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.tflite").write_bytes(keyword(small=True))
    assert main(["export", *arguments, "--out", "out"]) == 2
    assert error in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    assert export(tmp_path, "words.tflite", keyword(small=True)) == 2
    assert "no export of ours made it" in capsys.readouterr().err
    assert (tmp_path / "out/thesis.txt").read_text() == "mine"


def test_a_damaged_file_fails_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tmp_path, "words.tflite", keyword(small=True)[:2000]) == 1
    assert "is damaged" in capsys.readouterr().err
    assert export(tmp_path, "words.bin", b"not a model") == 1
    assert "11 bytes are not a readable ONNX model" in capsys.readouterr().err


@pytest.fixture
def graph() -> Graph:
    return read_tflite(float_file())


def test_windows_from_tables_and_arrays(graph: Graph, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(25, 3)).astype(np.float32)
    path = tmp_path / "w.csv"
    for header in ("", "acc_x,acc_y,acc_z\n"):
        path.write_text(header + "\n".join(",".join(map(str, row)) for row in rows.tolist()) + "\n")
        (windows,) = read_windows(path, graph)
        np.testing.assert_allclose(windows, rows[:20].reshape(2, 10, 3).transpose(0, 2, 1), rtol=1e-6)
    np.save(tmp_path / "w.npy", rows[:20].reshape(2, 10, 3))
    np.testing.assert_array_equal(read_windows(tmp_path / "w.npy", graph)[0], windows)
    np.savez(tmp_path / "w.npz", imu=windows[:, None], other=rows)
    np.testing.assert_array_equal(read_windows(tmp_path / "w.npz", graph)[0], windows)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("w.csv", b"1,2\n3,4\n", "2 columns, the input 'imu' is"),
        ("w.csv", b"1,2,3\n4,5\n", "cannot be read as a table of numbers"),
        ("w.csv", b"1,2,3\n", r"\[0\] windows of the inputs"),
        ("w.npz", b"not a zip", "cannot be read as arrays"),
        ("w.npy", b"\x93NUMPY", "cannot be read as arrays"),
    ],
)
def test_windows_that_do_not_fit(graph: Graph, tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=reason):
        read_windows(tmp_path / name, graph)


def test_an_interpreter_that_dies_of_a_file_takes_nobody_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file runs in a process of its own; what came before its end is kept, the rest says how it ended."""
    windows = (np.zeros((2, 11, 6, 1), np.int8),)
    found = source_runner.run_engines(keyword(small=True), windows)
    assert {name: len(outputs) for name, outputs in found.items()} == {"tflm": 1, "litert_reference": 1, "litert": 1}
    monkeypatch.setattr(source_runner.sys, "executable", "/bin/false")
    assert set(source_runner.run_engines(keyword(small=True), windows).values()) == {
        "the interpreter's process ended with 1"
    }
    monkeypatch.undo()
    refused = source_runner.run_engines(float_file(), (np.zeros((2, 3, 9), np.float32),))
    assert all(isinstance(reason, str) and "process ended" not in reason for reason in refused.values())
