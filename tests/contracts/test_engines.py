"""Every engine through the same checks: golden outputs, independence of windows, refusals in one line."""

from __future__ import annotations

import builtins
import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from device_fixtures import LABELS, OUTPUT, altered, make_tiny_bundle, onnx_bytes, tflite_bytes

from device_sim.engines import ENGINES, c_native, open_engine
from device_sim.engines.batches import infer_many
from device_sim.telemetry import Telemetry
from edgehar.bundle import Bundle
from edgehar.errors import EngineError, MissingExtraError, UsageError
from edgehar.manifest import Head
from edgehar.signal import QuantParams

REPOSITORY = Path(__file__).parents[2]
# tflite_runtime needs numpy below 2 and so lives in an environment of its own: see the last tests
HERE = [name for name in ENGINES if name != "tflite_runtime"]
TFLITE_HERE = [name for name in HERE if ENGINES[name].extension == "tflite"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def golden(bundle):
    return bundle.arrays("golden.npz")


@pytest.mark.parametrize("name", HERE)
def test_golden_outputs(name, bundle, golden):
    engine = open_engine(name, bundle)
    outputs = [engine.infer(window) for window in golden["stream_windows"]]
    assert {len(heads) for heads in outputs} == {1}
    found = np.array([heads[0] for heads in outputs])
    assert found.dtype == np.int8
    difference = np.abs(found.astype(int) - golden["stream_outputs"])
    assert difference.max() <= ENGINES[name].golden_lsb


@pytest.mark.parametrize("name", [name for name in HERE if not ENGINES[name].modelled])
def test_one_thread(name, golden):
    bundle = Bundle.open("zoo:ds_cnn")  # large enough that an interpreter with several threads would use them
    engine, window = open_engine(name, bundle), bundle.arrays("golden.npz")["stream_windows"][0]
    engine.infer(window)
    for _ in range(3):  # the work of other threads shows as more processor time than time; start-up of a pool may too
        busy, begin = time.process_time(), time.perf_counter()
        while time.perf_counter() - begin < 0.05:
            engine.infer(window)
        share = (time.process_time() - busy) / (time.perf_counter() - begin)
        if share < 1.1:
            return
    pytest.fail(f"{name} kept {share:.2f} processors busy")


def test_only_an_engine_that_models_a_board_takes_one(bundle, golden):
    with pytest.raises(UsageError, match=r"runs on this computer.*cortex_m"):
        open_engine("litert", bundle, "rpi_pico")
    with pytest.raises(UsageError, match="no board 'pico'"):
        open_engine("cortex_m", bundle, "pico")
    pico, default = open_engine("cortex_m", bundle, "rpi_pico"), open_engine("cortex_m", bundle)
    assert (pico.board.name, default.board.name) == ("rpi_pico", "nucleo_l4r5zi")
    assert "Raspberry Pi Pico" in pico.version
    telemetry = [Telemetry(0.02, 0.32, warm_up_decisions=0) for _ in range(2)]
    for engine, its in zip((pico, default), telemetry, strict=True):
        engine.telemetry = its
        assert np.array_equal(engine.infer(golden["stream_windows"][0])[0], golden["stream_outputs"][0])
    assert telemetry[0].stages["engine"].max_ns > telemetry[1].stages["engine"].max_ns  # no SMLAD, no single-cycle MAC


@pytest.mark.parametrize("name", HERE)
def test_windows_are_independent_and_outputs_are_kept(name, bundle, golden):
    engine = open_engine(name, bundle)
    windows = golden["stream_windows"]
    first = engine.infer(windows[0])[0]
    kept = first.copy()
    engine.infer(windows[1])
    assert np.array_equal(first, kept)  # not a view into the interpreter's memory
    assert np.array_equal(engine.infer(windows[0])[0], kept)
    engine.reset()
    assert np.array_equal(engine.infer(windows[0])[0], kept)


@pytest.mark.parametrize("name", HERE)
def test_what_an_engine_says_of_itself(name, bundle):
    engine = open_engine(name, bundle)
    assert engine.name == name
    assert engine.version[0].isdigit()
    memory = engine.memory_bytes()
    assert memory["model_bytes"] == bundle.manifest.files[model_file(name, bundle)].bytes
    assert all(isinstance(value, int) and value > 0 and key.endswith("_bytes") for key, value in memory.items())
    assert ("arena_recorded_total_bytes" in memory) == (name == "tflm")


def model_file(name, bundle):
    extension = ENGINES[name].extension
    return "firmware/har_model.c" if extension == "c" else bundle.manifest.precision.model_file(extension)


def refusal(name, bundle):
    with pytest.raises(EngineError) as caught:
        open_engine(name, bundle)
    message = str(caught.value)
    assert "\n" not in message
    assert name in message
    return message


DAMAGE = {
    "empty": lambda model: b"",
    "junk": lambda model: bytes(range(256)) * 4,
    "zeros": lambda model: bytes(len(model)),
    "truncated": lambda model: model[: len(model) // 2],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("name", HERE)
def test_a_damaged_model_is_refused_quietly(name, damage, bundle, tmp_path, capfd):
    file = model_file(name, bundle)
    message = refusal(name, altered(bundle, tmp_path, {file: damage(bundle.read(file))}))
    assert file in message
    assert "export the model again" in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", HERE)
def test_loading_and_running_print_nothing(name, bundle, golden, capfd):
    open_engine(name, bundle).infer(golden["stream_windows"][0])
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize("name", HERE)
def test_a_model_of_another_shape_is_refused(name, bundle, tmp_path):
    message = refusal(name, altered(bundle, tmp_path, window=31, hop=31))
    assert "[1, 32, 9]" in message
    assert "[1, 31, 9]" in message
    heads = (Head("activity", "multiclass", LABELS[:2], OUTPUT),)
    message = refusal(name, altered(bundle, tmp_path, heads=heads))
    assert "[1, 3]" in message
    assert "[1, 2]" in message
    message = refusal(name, altered(bundle, tmp_path, heads=(*bundle.manifest.heads, replace(heads[0], name="more"))))
    assert "1 outputs" in message
    assert "more" in message


@pytest.mark.parametrize("name", TFLITE_HERE)
def test_another_scale_or_zero_point_is_refused(name, bundle, tmp_path):
    message = refusal(
        name, altered(bundle, tmp_path, inputs=(replace(bundle.manifest.inputs[0], quant=QuantParams(0.125, 3)),))
    )
    assert "scale 0.0625, zero point 3" in message
    assert "scale 0.125, zero point 3" in message
    other = {"model_i8.tflite": tflite_bytes(32, 9, QuantParams(OUTPUT.scale, OUTPUT.zero_point + 1))}
    assert "zero point -4" in refusal(name, altered(bundle, tmp_path, other))


def test_onnxruntime_refuses_another_number_of_logits(bundle, tmp_path):
    assert "[1, 2]" in refusal("onnxruntime", altered(bundle, tmp_path, {"model_i8.onnx": onnx_bytes(32, 9, 2)}))


@pytest.mark.parametrize("name", [name for name, entry in ENGINES.items() if entry.package])
def test_a_missing_package_names_the_extra(name, bundle, monkeypatch):
    entry = ENGINES[name]
    real_import = builtins.__import__

    def without(module, *arguments, **options):
        if module.partition(".")[0] == entry.package:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real_import(module, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=rf"engine '{name}' needs .*edgehar\[{entry.extra}\]"):
        open_engine(name, bundle)


def test_c_native_without_a_compiler_names_the_extra(bundle, monkeypatch):
    monkeypatch.setattr(c_native, "find_compiler", lambda: None)
    with pytest.raises(MissingExtraError, match=r"engine 'c_native'.* needs .*edgehar\[firmware\]"):
        open_engine("c_native", bundle)


def test_c_native_without_sources_names_the_command(bundle, tmp_path):
    without = {name: None for name in bundle.manifest.files if name.startswith("firmware/")}
    message = refusal("c_native", altered(bundle, tmp_path, without))
    assert "edgehar export RUN --target tflite,onnx,c --out BUNDLE" in message


def test_an_unknown_engine_lists_the_known_ones(bundle):
    with pytest.raises(UsageError, match="no engine 'tpu'; there are litert, litert_ref"):
        open_engine("tpu", bundle)


def _python_311() -> str | None:
    """Path of a CPython 3.11 that can make environments: the only one tflite-runtime 2.14 has a wheel for."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    found = shutil.which("python3.11")
    probe = [found or "", "-c", "import sys, venv, ensurepip; assert sys.version_info[:2] == (3, 11)"]
    return found if found and subprocess.run(probe, capture_output=True, check=False).returncode == 0 else None


@pytest.fixture(scope="module")
def old_python():
    """Python of an environment with tflite-runtime and numpy 1 alone, made once and kept."""
    base = _python_311()
    if base is None:
        pytest.skip("tflite-runtime 2.14 has wheels for CPython up to 3.11, and no python3.11 is here")
    folder = REPOSITORY / ".cache" / "venv-tflite-runtime"
    python = folder / "bin" / "python"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "venv-tflite-runtime.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test workers
        _make_environment(base, folder, python)
    return python


def _make_environment(base, folder, python):
    probe = [str(python), "-c", "import tflite_runtime.interpreter, numpy; assert numpy.__version__ < '2'"]
    if not python.exists() or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        subprocess.run([base, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "tflite-runtime==2.14.0", "numpy<2"]
        subprocess.run(install, check=True, capture_output=True)


def run_old(python, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONNOUSERSITE": "1"}
    return subprocess.run(
        [str(python), *arguments], capture_output=True, text=True, env=environment, cwd=REPOSITORY, check=False
    )


def test_tflite_runtime_in_its_own_environment(old_python, bundle, golden, tmp_path):
    program = (
        "import sys, importlib.util as u, numpy as np\n"
        "assert u.find_spec('torch') is None and u.find_spec('ai_edge_litert') is None\n"
        "from edgehar.bundle import Bundle\n"
        "from device_sim.engines import open_engine\n"
        "bundle = Bundle.open(sys.argv[1])\n"
        "engine = open_engine('tflite_runtime', bundle)\n"
        "windows = bundle.arrays('golden.npz')['stream_windows']\n"
        "np.save(sys.argv[2], np.array([engine.infer(w)[0] for w in windows]))\n"
    )
    done = run_old(old_python, "-c", program, str(bundle.path), str(tmp_path / "outputs.npy"))
    assert (done.returncode, done.stderr) == (0, "")
    old = np.load(tmp_path / "outputs.npy").astype(int)
    litert = open_engine("litert", bundle)
    new = np.array([litert.infer(window)[0] for window in golden["stream_windows"]])
    assert np.abs(old - new).max() <= ENGINES["litert"].golden_lsb
    assert np.abs(old - golden["stream_outputs"]).max() <= ENGINES["tflite_runtime"].golden_lsb


def test_the_command_runs_without_torch_and_litert(old_python, bundle):
    done = run_old(old_python, "-m", "device_sim", str(bundle.path), "--engine", "tflite_runtime")
    assert (done.returncode, done.stderr) == (0, "")
    assert "golden      ok" in done.stdout
    done = run_old(old_python, "-m", "device_sim", str(bundle.path))
    assert done.returncode == 1
    assert done.stderr.startswith("edgehar: error: the engine 'litert' needs the package 'ai-edge-litert'")
    assert done.stderr.count("\n") == 1


def test_tflite_runtime_is_not_in_this_environment():
    # or it would have to join HERE
    assert importlib.util.find_spec("tflite_runtime") is None


@pytest.mark.parametrize("engine", ["litert", "litert_ref", "c_native"])
@pytest.mark.parametrize("bundle", ["zoo:ds_cnn_3k", "zoo:ds_cnn_multitask", "zoo:siamese", "zoo:bilstm"])
def test_many_windows_have_the_bits_of_one_by_one(bundle, engine):
    opened = Bundle.open(bundle)
    one = open_engine(engine, opened)
    many = infer_many(one, opened.manifest)
    rng = np.random.default_rng(3)
    shapes = [shape[1:] for shape in opened.manifest.input_shapes]
    for count in (1, 7, 8, 60, 64 + 8 + 3):  # singles, a small batch, a batch not quite full, all three
        inputs = [rng.integers(-128, 128, (count, *shape), np.int8) for shape in shapes]
        said = [one.infer(*window) for window in zip(*inputs, strict=True)]
        expected = [np.stack(rows) for rows in zip(*said, strict=True)]
        found = many(*inputs)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    batches = {"zoo:bilstm": set()}.get(bundle, {64, 8}) if engine.startswith("litert") else None
    assert batches is None or set(one._batched) == batches
