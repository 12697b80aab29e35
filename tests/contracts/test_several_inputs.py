"""A network with an input a sensor and one of window features: each has its own int8 scale, in every file, engine,
and on the device.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from c_cases import STRICT, compilers
from device_fixtures import LABELS, altered, firmware_of, make_tiny_bundle, synthetic_recording

from device_sim.device import Device
from device_sim.engines import ENGINES, open_engine
from device_sim.firmware import Twins
from device_sim.golden import check_golden
from device_sim.simulate import simulate
from device_sim.telemetry import Telemetry
from edgehar.arrays import dump_npz
from edgehar.bundle import Bundle
from edgehar.c_compiler import FLAGS
from edgehar.c_pipeline import CPipeline, firmware_files
from edgehar.errors import EngineError, UsageError
from edgehar.manifest import Head, ModelInput
from edgehar.signal import NetworkInput, input_tensors, sliding_windows
from edgehar.signal.features import default_window_features
from firmware_export.convert import convert
from firmware_export.reference import run
from firmware_export.sensitivity import layer_sensitivity
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import verify

HERE = [name for name in ENGINES if name != "tflite_runtime"]
GYRO, ACC = NetworkInput("gyro", (8, 6, 7)), NetworkInput("acc", (0, 1, 2, 3, 4, 5))  # in no order of the front end's


class Net(torch.nn.Module):
    """A convolution a sensor and a layer on the features, joined; the gyro's numbers are a hundred times the acc's."""

    def __init__(self, features):
        super().__init__()
        self.features = torch.nn.Linear(features, 3)
        self.gyro, self.acc = torch.nn.Conv1d(3, 4, 5, 2), torch.nn.Conv1d(6, 5, 3, 2)
        self.head = torch.nn.Linear(12, len(LABELS))

    def forward(self, gyro, acc, features):
        parts = [self.gyro(gyro.transpose(1, 2) / 100).relu(), self.acc(acc.transpose(1, 2)).relu()]
        summed = self.features(features).relu()
        return self.head(torch.cat([*(part.mean(dim=2) for part in parts), summed], dim=1))


@pytest.fixture(scope="module")
def network(inputs):
    torch.manual_seed(0)
    return Net(inputs[2].features.width).eval()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    bundle = make_tiny_bundle(tmp_path_factory.mktemp("one"))
    front_end = bundle.manifest.front_end
    louder = tuple(v * (100 if i > 5 else 1) for i, v in enumerate(front_end.inv_std))
    return replace(bundle, manifest=replace(bundle.manifest, front_end=replace(front_end, inv_std=louder)))


def columns_of(manifest, samples):
    return sliding_windows(manifest.front_end.run(samples), manifest.window, manifest.hop)


@pytest.fixture(scope="module")
def inputs(tiny):
    """The third gets features of the last three columns, in another order."""
    columns = (8, 7, 6)
    windows = columns_of(tiny.manifest, synthetic_recording(4000, seed=4).samples)[..., columns]
    features = default_window_features([tiny.manifest.front_end.names[i] for i in columns], 32).fitted(windows)
    return GYRO, ACC, NetworkInput("features", columns, features)


@pytest.fixture(scope="module")
def onnx(network, inputs):
    example = [torch.zeros(1, *each.shape(32)) for each in inputs]
    return export_onnx(network, example, inputs=[each.name for each in inputs])


@pytest.fixture(scope="module")
def windows(tiny, inputs):
    return input_tensors(inputs, columns_of(tiny.manifest, synthetic_recording(4000, seed=3).samples))


@pytest.fixture(scope="module")
def converted(onnx, windows):
    return convert(onnx, windows)


@pytest.fixture(scope="module")
def bundle(tiny, inputs, converted, tmp_path_factory):
    """The tiny bundle with this network in it."""
    golden = tiny.arrays("golden.npz")
    fed = input_tensors(inputs, columns_of(tiny.manifest, golden["stream_samples"]))
    quantized = [quant.quantize(x) for quant, x in zip(converted.input_quants, fed, strict=True)]
    golden |= dict(zip(("stream_windows", "stream_windows_1", "stream_windows_2"), quantized, strict=True))
    golden["stream_outputs"] = run(converted.integers, quantized)[0]
    golden["stream_logits"] = run(converted.float_graph, fed)[0]
    baseline = {"logits/made": golden["stream_logits"], "labels/made": golden["stream_logits"].argmax(axis=1)}
    files = {n: converted.files[n] for n in ("model_i8.tflite", "model_i8.onnx")}
    files |= {"golden.npz": dump_npz(**golden), "baseline.npz": dump_npz(**baseline)}
    fields = {
        "front_end": tiny.manifest.front_end,
        "inputs": tuple(ModelInput(**vars(i), quant=q) for i, q in zip(inputs, converted.input_quants, strict=True)),
        "heads": (Head("activity", "multiclass", LABELS, converted.output_quants[0]),),
    }
    files |= firmware_of(replace(tiny.manifest, **fields), converted.integers)
    return altered(tiny, tmp_path_factory.mktemp("two"), files, **fields)


def test_each_input_has_its_own_scale_and_all_engines_agree(network, converted, windows):
    gyro, acc, _ = converted.input_quants
    assert gyro.scale > 20 * acc.scale
    quantized = [quant.quantize(x) for quant, x in zip(converted.input_quants, windows, strict=True)]
    files = converted.files
    report = verify(converted.integers, files["model_i8.tflite"], files["model_i8.onnx"], quantized)
    assert {e.engine: e.max_lsb for e in report.engines if e.bound_lsb == 0} == {"litert_reference": 0, "tflm": 0}
    with torch.no_grad():
        logits = network(*map(torch.from_numpy, map(np.ascontiguousarray, windows))).numpy()
    found = converted.output_quants[0].dequantize(run(converted.integers, quantized)[0])
    assert np.abs(found - logits).max() < 0.05 * np.abs(logits).max()


def test_sensitivity_has_a_row_an_input(converted, windows):
    found = layer_sensitivity(converted.float_graph, converted.integers, windows)
    assert {layer.name for layer in found.layers if layer.op == "input"} == {"gyro", "acc", "features"}


def test_int8_weights_alone(onnx, windows):
    converted = convert(onnx, windows, "dynamic_wi8")
    converted.verify(windows, converted.run(windows), ("multiclass",))


def test_wrong_windows_are_refused(onnx, windows):
    gyro, acc, features = windows
    with pytest.raises(UsageError, match="windows for 1 inputs, the graph has 3: gyro, acc, features"):
        convert(onnx, gyro)
    with pytest.raises(UsageError, match="input 'gyro' takes"):
        convert(onnx, (acc, gyro, features))
    with pytest.raises(UsageError, match="the same for every input"):
        convert(onnx, (gyro, acc[1:], features))


@pytest.mark.parametrize("name", HERE)
def test_the_device_feeds_every_input(name, bundle):
    """Sample by sample, in blocks, and the golden stream: the same bits."""
    samples = bundle.arrays("golden.npz")["stream_samples"]
    pushed = Device(bundle, open_engine(name, bundle))
    one_by_one = [decision.outputs for sample in samples if (decision := pushed.push(sample)) is not None]
    for telemetry in (None, Telemetry(0.02, 0.32)):
        device = Device(bundle, open_engine(name, bundle), telemetry)
        in_blocks = [decision.outputs for decision in device.run(samples)]
        assert np.array_equal(one_by_one, in_blocks)
    check = check_golden(bundle, name, np.array(in_blocks))
    assert check.passed
    assert check.windows == len(bundle.arrays("golden.npz")["stream_windows_1"])
    assert device.memory_bytes["ring_buffer_bytes"] > 32 * 9


def test_a_changed_further_input_is_found(bundle, tmp_path):
    golden = bundle.arrays("golden.npz")
    for name, place in (("stream_windows_1", (3, 4, 5)), ("stream_windows_2", (3, 4))):
        golden[name][place] ^= 1
        changed = altered(bundle, tmp_path, {"golden.npz": dump_npz(**golden)})
        assert not check_golden(changed, "litert", golden["stream_outputs"]).features_equal
        golden[name][place] ^= 1


def test_absurd_samples_saturate(bundle):
    samples = np.array(bundle.arrays("golden.npz")["stream_samples"])
    samples[100:120] = 3e38
    assert len(Device(bundle, open_engine("litert", bundle)).run(samples)) == (len(samples) - 32) // 16 + 1


@pytest.mark.parametrize("harmed", [False, True])
def test_the_firmware_is_the_device(bundle, harmed):
    """Feature vectors, windows, logits, decisions and events in C, warnings as errors."""
    samples = np.array(bundle.arrays("golden.npz")["stream_samples"])
    if harmed:
        samples[100:120] = 3e38
        samples[300:350:7, 4] = np.nan
        samples[400:500, :] = samples[400]  # nothing moves: no power, no deviation
        samples[600:700, 3:] = 0
    pipeline = CPipeline(firmware_files(bundle), compilers()["cc"], (*FLAGS, *STRICT))
    twins = Twins(bundle, open_engine("litert_ref", bundle), pipeline)
    twins.push(samples)
    twins.finish()
    assert twins.decisions == (len(samples) - 32) // 16 + 1
    assert twins.differences == []


def test_ten_seconds_are_simulated(bundle):
    summary = simulate(bundle, [synthetic_recording(500, seed=11)]).summary
    assert summary["windows_streamed"] == (500 - 32) // 16 + 1


@pytest.mark.parametrize("name", HERE)
def test_inputs_that_the_manifest_does_not_have_are_refused(name, bundle, tmp_path):
    inputs = bundle.manifest.inputs
    with pytest.raises(EngineError, match=r"the model has 3 inputs .* says 1 inputs \(gyro\)"):
        open_engine(name, altered(bundle, tmp_path, inputs=inputs[:1]))
    with pytest.raises(EngineError, match=r"\[1, 32, 3\]"):
        open_engine(name, altered(bundle, tmp_path, inputs=(*inputs[1::-1], inputs[2])))


def test_the_manifest_keeps_them(bundle):
    assert Bundle.open(bundle.path).manifest.inputs == bundle.manifest.inputs
    assert bundle.manifest.input_shapes == ((1, 32, 3), (1, 32, 6), (1, bundle.manifest.inputs[2].features.width))
