"""The loop as a user types it, on real recordings: train, export, simulate, report; and what goes wrong on the way."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from signalled import run_signalled

from device_sim.__main__ import main as device_main
from edgehar import cli, files
from edgehar.bundle import Bundle, zoo_names

SMALL = ["epochs=2", "validation_subjects=0", "model_options={stem_channels = 8, blocks = [[16, 9, 2]]}", "hop=128"]


def _words(items):
    return [word for item in items for word in ("--set", item)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """``edgehar run`` with a small model."""
    out = tmp_path_factory.mktemp("loop") / "demo"
    assert cli.main(["run", "--out", str(out), *_words(SMALL)]) == 0
    return out


def test_run_leaves_everything_to_be_found(demo):
    assert {p.name for p in demo.iterdir()} == {"run", "run.json", "model.edgehar", "summary.json", "report.html"}
    summary = json.loads((demo / "summary.json").read_text())
    bundle = Bundle.open(demo / "model.edgehar")
    assert summary["bundle_sha256"] == bundle.sha256
    assert set(summary["subjects"]) == set(bundle.manifest.provenance["data"]["test_subjects"])
    assert set(bundle.manifest.files) == {
        "model_f32.onnx", "model_i8.onnx", "model_f32.tflite", "model_i8.tflite", "golden.npz", "baseline.json",
        "baseline.npz", "MODEL_CARD.md",
    }  # fmt: skip
    # The simulator, the exporter and the run folder must tell the same story.
    evidence = bundle.manifest.provenance["verification"]
    record = json.loads((demo / "run.json").read_text())
    assert summary["windows"] == evidence["scored_windows"] == record["metrics"]["test"]["windows"]
    assert summary["baseline"]["accuracy"] == pytest.approx(record["metrics"]["test"]["accuracy"], abs=1e-9)
    assert summary["agreement"] > 0.98
    assert abs(summary["accuracy"] - evidence["int8_accuracy"]) < 0.005  # XNNPACK against the reference's integers
    assert "<html" in (demo / "report.html").read_text()


def test_run_again_keeps_the_training(demo, capsys):
    before = (demo / "run" / "weights.safetensors").stat().st_mtime_ns
    assert cli.main(["run", "--out", str(demo), "--engines", "litert"]) == 0
    assert "finished and kept" in capsys.readouterr().out
    assert (demo / "run" / "weights.safetensors").stat().st_mtime_ns == before


def test_exact_engines_agree_on_every_streamed_window(demo):
    from device_sim.simulate import simulate
    from edgehar.cli.held_out import choose_recordings

    bundle = Bundle.open(demo / "model.edgehar")
    recordings, _ = choose_recordings(bundle, [], ["2", "4"])
    outputs = {
        engine: np.concatenate([t.outputs for t in simulate(bundle, recordings, engine).traces])
        for engine in ("litert_ref", "tflm", "litert", "onnxruntime")
    }
    assert np.array_equal(outputs["litert_ref"], outputs["tflm"])
    for engine, bound in (("litert", 3), ("onnxruntime", 1)):
        assert np.abs(outputs[engine].astype(int) - outputs["tflm"]).max() <= bound


def test_same_run_exports_the_same_bytes(demo, tmp_path):
    assert cli.main(["export", str(demo / "run"), "--out", str(tmp_path / "model.edgehar")]) == 0
    assert Bundle.open(tmp_path / "model.edgehar").sha256 == Bundle.open(demo / "model.edgehar").sha256


def test_firmware_of_a_run(demo, tmp_path, capsys):
    """The C sources are in the bundle, verified, and an engine; what is not needed to build them can be left out."""
    path = tmp_path / "c.edgehar"
    assert cli.main(["export", str(demo / "run"), "--target", "tflite,onnx,c", "--out", str(path)]) == 0
    assert "c_native" in capsys.readouterr().out
    bundle = Bundle.open(path)
    evidence = {row["engine"]: row for row in bundle.manifest.provenance["verification"]["engines"]}
    assert evidence["c_native"]["windows"] == evidence["tflm"]["windows"] > 1000
    assert (evidence["c_native"]["max_lsb"], evidence["c_native"]["exact"]) == (0, 1.0)
    header = bundle.read("firmware/har.h").decode()
    assert "edgehar train --model ds_cnn" in header and "#define HAR_LABEL_ACTIVITY_WALKING 0" in header
    summaries = []
    for engine in ("tflm", "c_native"):
        words = ["simulate", str(path), "--engine", engine, "--subjects", "2", "--json", str(tmp_path / "s.json")]
        assert cli.main(words) == 0
        summaries.append(json.loads((tmp_path / "s.json").read_text()))
    assert summaries[1]["engine"] == "c_native"
    assert summaries[1]["memory"]["firmware_context_bytes"] < 8192
    for key in ("accuracy", "macro_f1", "windows", "events"):
        assert summaries[0][key] == summaries[1][key]
    assert cli.main(["simulate", str(demo / "model.edgehar"), "--engine", "c_native", "--subjects", "2"]) == 1
    assert "edgehar export RUN --target tflite,onnx,c --out BUNDLE" in capsys.readouterr().err


def test_firmware_that_streams(demo, tmp_path, capsys):
    """At another hop than the training's; the same integers, and the same bits as the device on whole windows."""
    path = tmp_path / "s.edgehar"
    words = ["export", str(demo / "run"), "--target", "tflite,onnx,c", "--streaming", "--out", str(path)]
    assert cli.main([*words, "--hop", "50"]) == 2
    assert "a hop of 50 samples does not stream" in (error := capsys.readouterr().err)
    assert "the nearest: 48 or 52" in error
    assert not path.exists()
    assert cli.main([*words, "--hop", "64"]) == 0
    assert "the firmware streams, " in capsys.readouterr().out.replace("\n", " ")
    bundle, model = Bundle.open(path), Bundle.open(demo / "model.edgehar")
    assert (bundle.manifest.hop, model.manifest.hop) == (64, 128)
    assert bundle.read("model_i8.tflite") == model.read("model_i8.tflite")
    evidence = bundle.manifest.provenance["verification"]
    assert 0 < evidence["streaming"]["macs"] < 0.7 * evidence["streaming"]["window_macs"]
    (row,) = [row for row in evidence["engines"] if row["engine"] == "c_native"]
    assert (row["windows"] > 2000, row["exact"]) == (True, 1.0)
    assert "--hop 64 --streaming" in " ".join(bundle.read("firmware/har.h").decode().replace("\n *", "").split())
    assert "the firmware streams, " in bundle.read("MODEL_CARD.md").decode()
    assert device_main([str(path), "--firmware"]) == 0
    assert cli.main(["profile", str(path), "--windows", "2", "--json", str(tmp_path / "p.json")]) == 0
    profile = json.loads((tmp_path / "p.json").read_text())
    assert profile["bit_exact"] and profile["pipeline"]["bit_exact"]
    assert profile["macs"] == evidence["streaming"]["macs"]


@pytest.mark.parametrize("words", [["--target", "tflite", "--streaming"], ["--hop", "0"]])
def test_streaming_that_makes_no_sense(demo, tmp_path, capsys, words):
    assert cli.main(["export", str(demo / "run"), *words, "--out", str(tmp_path / "s.edgehar")]) == 2
    assert "--target tflite,onnx,c" in (error := capsys.readouterr().err) or "--hop 0: expected at least 1" in error


def test_a_firmware_that_is_wrong_is_not_written(demo, tmp_path, capsys, monkeypatch):
    from firmware_export import bundle_export

    honest = bundle_export.write_firmware

    def off_by_one(*arguments, **settings):
        written = honest(*arguments, **settings)
        signal_h = written.files["har_signal.h"].replace(b"+ zero_point;", b"+ zero_point + 1;")
        return replace(written, files={**written.files, "har_signal.h": signal_h})

    monkeypatch.setattr(bundle_export, "write_firmware", off_by_one)
    words = ["export", str(demo / "run"), "--target", "tflite,onnx,c", "--out", str(tmp_path / "c.edgehar")]
    assert cli.main(words) == 1
    assert "windows differ from the front end's" in capsys.readouterr().err
    assert not (tmp_path / "c.edgehar").exists()


def test_sensitivity_of_every_layer(demo, tmp_path, capsys):
    words = ["sensitivity", str(demo), "--windows", "200"]
    chart, data = tmp_path / "layers.png", tmp_path / "layers.json"
    assert cli.main([*words, "--out", str(chart), "--json", str(data)]) == 0
    found = json.loads(data.read_text())
    assert found["windows"] == 200 and len(found["layers"]) >= 6
    assert found["layers"][0]["name"] in capsys.readouterr().out
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert cli.main([*words, "--recipe", "float32"]) == 1
    assert "makes no integers" in capsys.readouterr().err
    assert cli.main(["sensitivity", str(tmp_path)]) == 2


# recipe: its .tflite, the format of its inputs, the engines that run it
RECIPES_IN_BUNDLES = {
    "static_wi8_ai16": ("model_i16.tflite", "int16", {"litert", "litert_ref", "tflm"}),
    "mixed_wi8_99db": ("model_mixed.tflite", "int16", {"litert", "litert_ref", "tflm"}),
    "dynamic_wi8": ("model_w8.tflite", "float32", {"litert", "litert_ref"}),
    "float32": ("model_f32.tflite", "float32", {"litert", "litert_ref", "tflm", "onnxruntime"}),
}


@pytest.mark.parametrize("recipe", RECIPES_IN_BUNDLES)
def test_every_recipe_goes_through_the_whole_loop(recipe, demo, tmp_path, capsys):
    file, dtype, engines = RECIPES_IN_BUNDLES[recipe]
    out = tmp_path / f"{recipe}.edgehar"
    assert cli.main(["export", str(demo / "run"), "--recipe", recipe, "--slim", "--out", str(out)]) == 0
    bundle = Bundle.open(out)
    assert bundle.manifest.inputs[0].quant.dtype == bundle.manifest.heads[0].quant.dtype == dtype
    assert file in bundle.manifest.files and "model_i8.tflite" not in bundle.manifest.files
    label = bundle.manifest.precision.label
    assert f"| {label} |" in bundle.read("MODEL_CARD.md").decode()
    capsys.readouterr()
    for engine in ("litert", "litert_ref", "tflm", "onnxruntime"):
        code, said = device_main([str(out), "--engine", engine]), capsys.readouterr()
        if engine in engines:
            assert code == 0 and "golden      ok" in said.out, said.out
        else:
            assert code == 1 and said.err.count("\n") == 1
            assert (
                f"no kernels for networks in recipe {recipe}; choose another --engine of litert, litert_ref" in said.err
            )
    summary, page = tmp_path / "s.json", tmp_path / "r.html"
    words = ["report", str(out), "--subjects", "2", "-o", str(page), "--engines", "litert", "--json", str(summary)]
    assert cli.main(words) == 0
    assert json.loads(summary.read_text())["agreement"] > 0.97  # two epochs leave many near-ties
    assert file in page.read_text()


def test_training_on_with_the_rounding(demo, tmp_path, capsys):
    aware, out = tmp_path / "aware", tmp_path / "aware.edgehar"
    assert cli.main(["train", "--qat", str(demo / "run"), "--epochs", "1", "--out", str(aware)]) == 0
    assert cli.main(["export", str(aware), "--slim", "--out", str(out)]) == 0
    manifest = Bundle.open(out).manifest
    assert manifest.provenance["verification"]["agreement_with_baseline"] > 0.99  # two epochs leave many near-ties
    first, then = manifest.provenance["command"].split(" && ")
    assert first.startswith("edgehar train --model") and then.startswith("edgehar train --qat START --set epochs=1")
    assert "quantization-aware already" in _fails(capsys, 2, "train", "--qat", aware, "--out", tmp_path / "r")
    assert "as RUN was configured" in _fails(
        capsys, 2, "train", "--qat", demo / "run", "--model", "tcn", "--out", tmp_path / "r"
    )
    assert "edgehar train --qat RUN" in _fails(
        capsys, 2, "train", "--set", "quantization_aware=true", "--out", tmp_path / "r"
    )


def test_slim_bundle_still_knows_its_baseline(demo, tmp_path):
    assert cli.main(["export", str(demo / "run"), "--slim", "--out", str(tmp_path / "slim.edgehar")]) == 0
    bundle = Bundle.open(tmp_path / "slim.edgehar")
    assert not [name for name in bundle.manifest.files if "f32" in name]
    assert cli.main(["simulate", str(bundle.path), "--subjects", "2", "--json", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["agreement"] > 0.98


def test_own_csv(demo, tmp_path, capsys):
    from edgehar.datasets import load_dataset

    recording = load_dataset("hapt")[0].cut(3000, 5000)
    names = ",".join(c.name for c in recording.channels)
    labels = [recording.label_names[i] if 0 <= i < 6 else "" for i in recording.labels]  # transitions left empty
    rows = [",".join(f"{v:.6f}" for v in s) + f",{n}" for s, n in zip(recording.samples, labels, strict=True)]
    (tmp_path / "mine.csv").write_text("\n".join([f"{names},label", *rows]))
    command = ["simulate", str(demo / "model.edgehar"), "--recordings", str(tmp_path / "mine.csv")]
    code = cli.main(command)
    assert code == 0, capsys.readouterr().err
    assert "1 file" in capsys.readouterr().out


def _fails(capsys, code, *words):
    """Run a command that must fail with one line; return that line."""
    assert cli.main([str(w) for w in words]) == code
    err = capsys.readouterr().err
    assert err.startswith("edgehar: error: ")
    assert err.count("\n") == 1, err
    return err


def test_mistakes_get_one_clear_line(demo, tmp_path, capsys):
    bundle = demo / "model.edgehar"
    assert "litert_ref" in _fails(capsys, 2, "simulate", bundle, "--engine", "liter")
    assert "no such bundle" in _fails(capsys, 2, "simulate", tmp_path / "none.edgehar")
    assert "zoo:ds_cnn" in _fails(capsys, 2, "simulate", "zoo:nothing")
    assert "held-out people are" in _fails(capsys, 2, "simulate", bundle, "--subjects", "1")
    assert "--seconds" in _fails(capsys, 2, "simulate", bundle, "--seconds", "-1")
    assert "not a run folder" in _fails(capsys, 2, "export", tmp_path, "--out", tmp_path / "b.edgehar")
    assert "coreml" in _fails(capsys, 2, "export", demo / "run", "--target", "coreml", "--out", tmp_path / "b.edgehar")
    assert "static_wi8_ai8" in _fails(
        capsys, 2, "export", demo / "run", "--recipe", "int9", "--out", tmp_path / "b.edgehar"
    )
    assert "did you mean 'epochs'" in _fails(capsys, 2, "train", "--set", "epoch=3", "--out", tmp_path / "r")
    assert "hapt" in _fails(capsys, 2, "train", "--dataset", "hatp", "--out", tmp_path / "r")
    assert "'flying' is not in the data" in _fails(
        capsys, 1, "train", "--set", 'labels=["flying", "walking"]', "--out", tmp_path / "r"
    )
    assert not (tmp_path / "b.edgehar").exists()


def test_ctrl_c_in_a_simulation_shows_the_result_so_far(tmp_path, capsys, monkeypatch):
    from device_sim.clock import SimulatedClock

    whole = SimulatedClock.replay

    def one_batch(self, device, samples):
        yield next(iter(whole(self, device, samples)))
        raise KeyboardInterrupt

    monkeypatch.setattr(SimulatedClock, "replay", one_batch)
    assert cli.main(["simulate", "zoo:ds_cnn", "--subjects", "2", "--json", str(tmp_path / "s.json")]) == 130
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["interrupted"]
    assert summary["recordings"] == 1
    assert "1 person" in capsys.readouterr().out


def test_damaged_unfinished_runs_get_one_clear_line(tmp_path, capsys):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"junk")
    for text in ("{", "[]", "\x00"):
        (tmp_path / "config.json").write_text(text)
        assert "config.json: not readable JSON" in _fails(capsys, 1, "train", "--resume", tmp_path)
    (tmp_path / "config.json").write_text('{"epochs": 2}')
    assert "last.ckpt: damaged checkpoint" in _fails(capsys, 1, "train", "--resume", tmp_path)
    assert (tmp_path / "checkpoints" / "last.ckpt").read_bytes() == b"junk"


def test_nothing_to_train_on_or_to_simulate_with_gets_one_clear_line(tmp_path, capsys):
    assert "no window of 90000 samples" in _fails(capsys, 1, "train", "--out", tmp_path / "r", "--set", "window=90000")
    assert "names no engine" in _fails(capsys, 2, "report", "zoo:ds_cnn", "--engines", ",", "-o", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("acc_x,acc_y\n1,2\n", "acc_z"),
        ("acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z\n0,0,1,0,0\n", "5"),
        ("acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z\n0,0,nan,0,0,0\n", "acc_z"),
        ("acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z\n0,0,one,0,0,0\n", "one"),
        ("acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z\n", "no "),
        ("acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z,label\n0,0,1,0,0,0,flying\n", "flying"),
        (
            "t_s,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z\n" + "".join(f"{i / 100},0,0,1,0,0,0\n" for i in range(300)),
            "100",
        ),
    ],
)
def test_bad_recordings_get_one_clear_line(demo, tmp_path, capsys, text, message):
    (tmp_path / "bad.csv").write_text(text)
    err = _fails(capsys, 1, "simulate", demo / "model.edgehar", "--recordings", tmp_path / "bad.csv")
    assert message in err
    assert "bad.csv" in err


def test_full_disk_and_unwritable_folder_leave_no_litter(demo, tmp_path, capsys, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "file").write_text("not a folder")
    # Root may write anywhere, so a path through a plain file stands for the folder that refuses.
    assert "not a folder" in _fails(capsys, 1, "export", demo / "run", "--out", tmp_path / "file" / "b.edgehar")
    (tmp_path / "file").unlink()
    monkeypatch.setattr(files.os, "fsync", full)
    err = _fails(capsys, 1, "export", demo / "run", "--out", tmp_path / "b.edgehar")
    assert "No space left" in err
    assert "free some space" in err
    assert list(tmp_path.iterdir()) == []


def test_failed_verification_writes_nothing(demo, tmp_path, capsys, monkeypatch):
    """An engine that is off by more than its bound stops the export."""
    from firmware_export import verify

    honest = verify.ENGINES["tflm"]

    def off_by_one(candidate, windows):
        return tuple(o ^ 1 for o in honest(candidate, windows))

    monkeypatch.setattr(verify, "ENGINES", {**verify.ENGINES, "tflm": off_by_one})
    err = _fails(capsys, 1, "export", demo / "run", "--out", tmp_path / "b.edgehar")
    assert "'tflm' differs by 1 LSB" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [r"os\.mkdir .*edgehar-part", r"open .*edgehar-part/manifest\.json"])
def test_ctrl_c_in_export_leaves_the_old_bundle(demo, tmp_path, place):
    out = tmp_path / "model.edgehar"
    shutil.copytree(demo / "model.edgehar", out)
    before = Bundle.open(out).sha256
    done = run_signalled(signal.SIGINT, place, 1, "export", demo / "run", "--out", out)
    assert done.returncode == 130, done.stderr
    assert "edgehar: error: stopped by Ctrl-C" in done.stderr
    assert "Traceback" not in done.stderr
    assert Bundle.open(out).sha256 == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.edgehar"]


# largest parameters, largest MACs, smallest held-out accuracy of the int8 network, an engine with the reference's bits
ZOO = {
    "ds_cnn": (12_000, 250_000, 0.965, "litert_ref"),
    "ds_cnn_3k": (3_000, 70_000, 0.95, "litert_ref"),
    "ds_cnn_30k": (30_000, 610_000, 0.975, "litert_ref"),
    "ds_cnn_multitask": (12_000, 250_000, 0.97, "litert_ref"),
    "bilstm": (7_000, 820_000, 0.95, "tflm"),  # docs/decisions/0006
    "siamese": (7_000, 140_000, 0.95, "litert_ref"),
}


def test_zoo_holds_what_the_table_says():
    assert set(zoo_names()) == set(ZOO)
    for name in ("ds_cnn", "siamese"):  # its C sources are as long again
        files = Bundle.open(f"zoo:{name}").manifest.files
        assert sum(entry.bytes for file, entry in files.items() if not file.startswith("firmware/")) <= 100_000


@pytest.mark.parametrize("name", ZOO)
def test_zoo_bundle_answers_on_its_own(name):
    """Small, verified, and replayed by ``python -m device_sim`` from its golden stream, bit for bit."""
    manifest = Bundle.open(f"zoo:{name}").manifest
    parameters, macs, accuracy, engine = ZOO[name]
    assert manifest.model["parameters"] <= parameters
    assert manifest.model["macs"] <= macs
    assert manifest.provenance["verification"]["int8_accuracy"] >= accuracy
    done = subprocess.run(
        [sys.executable, "-m", "device_sim", f"zoo:{name}", "--engine", engine],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "ok: 32 of 32 windows equal" in done.stdout


def test_doctor_and_zoo_list(tmp_path, capsys):
    assert cli.main(["doctor", "--json", str(tmp_path / "d.json")]) == 0
    packages = {p["package"]: p["version"] for p in json.loads((tmp_path / "d.json").read_text())["packages"]}
    assert packages["numpy"] == np.__version__
    assert packages["tflite-runtime"] is None
    assert "missing" in capsys.readouterr().out
    assert cli.main(["zoo", "list", "--json", str(tmp_path / "z.json")]) == 0
    assert "ds_cnn" in [row["name"] for row in json.loads((tmp_path / "z.json").read_text())]


def test_missing_package_is_named_with_its_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert "edgehar[device]" in _fails(capsys, 1, "simulate", "zoo:ds_cnn", "--engine", "litert")


def test_commands_start_without_heavy_imports():
    code = (
        "import sys; from edgehar import cli; cli.build_parser()\n"
        "heavy = {'torch', 'lightning', 'scipy', 'pandas', 'onnx', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
