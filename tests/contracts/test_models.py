"""Every architecture of the registry: one step changes weights, shapes hold, it exports and all engines agree, and
ten seconds of it run on the device.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from c_cases import STRICT, compilers
from device_fixtures import LABELS, altered, firmware_of, make_tiny_bundle, synthetic_recording
from model_fixtures import CLASSES, HOP, WINDOW, fitted_front_end, model_inputs, model_tensors, tiny_model

from device_sim.device import Device
from device_sim.engines import open_engine
from device_sim.firmware import Twins
from device_sim.simulate import simulate
from edgehar.arrays import dump_npz
from edgehar.c_compiler import FLAGS
from edgehar.c_pipeline import CPipeline, firmware_files
from edgehar.errors import UnsupportedOpError
from edgehar.manifest import Head, ModelInput
from edgehar.models import MODELS
from firmware_export.convert import convert
from firmware_export.ops import is_stateful
from firmware_export.reference import run
from firmware_export.targets.c import write_firmware
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import verify

COLUMNS = 9  # of the default front end
ANY_WINDOW = ("lstm", "bilstm", "mlp", "forest")  # a recurrent layer takes any number of samples, features hide it
NOT_STREAMING = {  # the reason
    **dict.fromkeys(("lstm", "bilstm"), "starts anew with every window"),
    **dict.fromkeys(("mlp", "forest", "late", "hybrid"), "no window of"),
    "joint": "pads its input",
}
RECURRENT = ("lstm", "bilstm", "deepconvlstm", "joint")  # interpreters keep state, reset before each window
NOT_NETWORKS = {"__init__", "heads", "entry", "backbones", "parts"}


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@pytest.fixture
def network(name):
    return tiny_model(name)


def test_registry_is_complete():
    from pathlib import Path

    import edgehar.models

    files = {p.stem for p in Path(edgehar.models.__file__).parent.glob("*.py")} - NOT_NETWORKS
    assert files == set(MODELS)
    assert all(entry.source for entry in MODELS.values())


def test_shapes_and_published_size(name, network):
    assert network(*model_tensors(name, 3)).shape == (3, CLASSES)
    assert network.total_stride >= 1
    default = MODELS["cnn1d"].build(MODELS["cnn1d"].config(), [(128, COLUMNS)], CLASSES)
    assert default.head.in_features == 392


def test_one_step_changes_every_weight(name, network):
    x, y = model_tensors(name, 16), torch.arange(16) % CLASSES
    if MODELS[name].grow is not None:
        before = {key: table.clone() for key, table in network.state_dict().items()}
        MODELS[name].grow(network, [each.numpy() for each in x], y.numpy(), 0)
        assert all(not torch.equal(table, before[key]) for key, table in network.state_dict().items())
        return
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    torch.nn.functional.cross_entropy(network(*x), y).backward()
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_evaluation_does_not_change_state(name, network):
    network.eval()
    x = model_tensors(name, 4)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    assert torch.equal(network(*x), network(*x))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_too_short_window_is_refused(name):
    shapes = [shape if len(shape) == 1 else (4, shape[1]) for shape in (i.shape(WINDOW) for i in model_inputs(name))]
    entry = MODELS[name]
    if name in ANY_WINDOW:
        assert entry.build(entry.config(), shapes, CLASSES) is not None
        return
    with pytest.raises(ValueError, match="a window of 4 samples is too short"):
        entry.build(entry.config(), shapes, CLASSES)


def test_inputs_of_another_kind_are_refused(name):
    entry = MODELS[name]
    asked = [len(each.shape(WINDOW)) for each in model_inputs(name)]
    for shapes in ([], [(WINDOW, COLUMNS)], [(30,)], [(WINDOW, 3), (30,)]):
        if [len(shape) for shape in shapes] != asked:
            with pytest.raises(ValueError, match=r"takes one|at least two|parts for 2 inputs"):
                entry.build(entry.tiny, shapes, CLASSES)


@pytest.fixture
def fed(name, network):
    """64 windows, over which batch norm's statistics have moved off their start, and trees have grown."""
    x = model_tensors(name, 64)
    network(*x)
    if MODELS[name].grow is not None:
        MODELS[name].grow(network, [each.numpy() for each in x], np.arange(64) % CLASSES, 0)
    network.eval()
    return x


@pytest.fixture
def converted(name, network, fed):
    inputs = [each.name for each in model_inputs(name)]
    return convert(export_onnx(network, fed, inputs=inputs), tuple(x.numpy() for x in fed))


def test_exports_runs_and_every_engine_agrees(name, network, fed, converted, tmp_path):
    quantized = [q.quantize(x.numpy()) for q, x in zip(converted.input_quants, fed, strict=True)]
    files = converted.files
    report = verify(converted.integers, files["model_i8.tflite"], files["model_i8.onnx"], quantized)
    (outputs,) = run(converted.integers, quantized)
    assert outputs.shape == (64, CLASSES)
    assert {e.engine for e in report.engines} >= {"litert_reference", "tflm", "litert", "onnxruntime"}
    with torch.no_grad():
        logits = network(*fed).numpy()
    found = converted.output_quants[0].dequantize(outputs)
    assert np.abs(found - logits).max() < 0.1 * np.abs(logits).max() + 2 * converted.output_quants[0].scale
    # Folding batch norm removes four values a channel and adds none: a device never holds more than the checkpoint,
    # whose tables (positional encodings) it holds too.
    assert converted.parameters <= sum(value.numel() for value in network.state_dict().values())
    assert (converted.macs > 0) == (name != "forest"), "trees compare"
    assert is_stateful(converted.integers) == (name in RECURRENT)
    bundle = bundle_of(name, converted, tmp_path)
    ten_seconds_run(bundle)
    reset_equals_fresh(bundle)
    firmware_is_the_device(bundle)
    streams_or_says_why(name, bundle, converted, tmp_path)


def bundle_of(name, converted, folder):
    """The tiny bundle of the device's own tests with this network in it; its golden stream stays the old network's."""
    tiny = make_tiny_bundle(folder, window=WINDOW, hop=HOP)
    inputs = zip(model_inputs(name), converted.input_quants, strict=True)
    fields = {
        "front_end": fitted_front_end(),
        "inputs": tuple(ModelInput(**vars(each), quant=quant) for each, quant in inputs),
        "heads": (Head("activity", "multiclass", LABELS, converted.output_quants[0]),),
        "model": {"name": name, "stateful": is_stateful(converted.integers)},
    }
    files = {n: converted.files[n] for n in ("model_i8.tflite", "model_i8.onnx")}
    files |= {"baseline.npz": dump_npz(), "baseline.json": json.dumps({"device": "cpu"}).encode()}
    files |= firmware_of(replace(tiny.manifest, **fields), converted.integers)
    return altered(tiny, folder, files, **fields)


def ten_seconds_run(bundle):
    summary = simulate(bundle, [synthetic_recording(500, seed=11)]).summary
    assert summary["windows_streamed"] == (500 - WINDOW) // HOP + 1


def reset_equals_fresh(bundle):
    """What a device saw before its reset leaves no trace, the network's own state included."""
    before, after = (synthetic_recording(300, seed=seed).samples for seed in (1, 2))
    used = Device(bundle, open_engine("tflm", bundle))
    used.run(before)
    used.reset()
    fresh = Device(bundle, open_engine("tflm", bundle)).run(after)
    assert np.array_equal([d.outputs for d in used.run(after)], [d.outputs for d in fresh])


def firmware_is_the_device(bundle):
    """The C sources, warnings as errors, make the decisions of the Python device bit for bit."""
    pipeline = CPipeline(firmware_files(bundle), compilers()["cc"], (*FLAGS, "-O1", *STRICT))
    twins = Twins(bundle, open_engine("tflm", bundle), pipeline)
    samples = synthetic_recording(500, seed=12).samples
    samples[300:320, 1] = np.nan
    twins.push(samples)
    twins.finish()
    assert twins.decisions == (500 - WINDOW) // HOP + 1
    assert twins.differences == []


def streams_or_says_why(name, bundle, converted, folder):
    """Firmware that computes only what a hop brings makes the same decisions."""
    if name in NOT_STREAMING:
        with pytest.raises(UnsupportedOpError, match=f"cannot stream this network: .*{NOT_STREAMING[name]}"):
            write_firmware(bundle.manifest, converted.integers, streaming=True)
        return
    written = write_firmware(bundle.manifest, converted.integers, streaming=True)
    assert written.stream.macs < 0.9 * converted.macs
    files = {f"firmware/{file}": data for file, data in written.files.items()}
    (folder / "streaming").mkdir()
    firmware_is_the_device(altered(bundle, folder / "streaming", files))
