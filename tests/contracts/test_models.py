"""Every architecture of the registry: one step changes weights, shapes hold, it exports and all engines agree."""

import numpy as np
import pytest
import torch

from edgehar.models import MODELS
from firmware_export.convert import convert
from firmware_export.ops import is_stateful
from firmware_export.reference import run
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import verify

WINDOW, FEATURES, CLASSES = 64, 6, 4
ANY_WINDOW = ("lstm", "bilstm")  # a recurrent layer takes any number of samples
RECURRENT = ("lstm", "bilstm", "deepconvlstm", "joint")  # interpreters keep state, reset before each window


@pytest.fixture(params=MODELS)
def network(request):
    torch.manual_seed(0)
    entry = MODELS[request.param]
    return entry.build(entry.tiny, WINDOW, FEATURES, CLASSES)


def test_registry_is_complete():
    from pathlib import Path

    import edgehar.models

    files = {p.stem for p in Path(edgehar.models.__file__).parent.glob("*.py")} - {"__init__", "heads"}
    assert files == set(MODELS)
    assert all(entry.source for entry in MODELS.values())


def test_shapes_and_published_size(network):
    assert network(torch.zeros(3, WINDOW, FEATURES)).shape == (3, CLASSES)
    assert network.total_stride >= 1
    default = MODELS["cnn1d"].build(MODELS["cnn1d"].config(), 128, FEATURES, CLASSES)
    assert default.head.in_features == 392


def test_one_step_changes_every_weight(network):
    x, y = torch.randn(16, WINDOW, FEATURES), torch.arange(16) % CLASSES
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    torch.nn.functional.cross_entropy(network(x), y).backward()
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_evaluation_does_not_change_state(network):
    network.eval()
    x = torch.randn(4, WINDOW, FEATURES)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    assert torch.equal(network(x), network(x))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_too_short_window_is_refused(network):
    name = next(n for n, e in MODELS.items() if isinstance(network, e.build))
    if name in ANY_WINDOW:
        assert MODELS[name].build(MODELS[name].config(), 1, FEATURES, CLASSES) is not None
        return
    with pytest.raises(ValueError, match=f"{name}: a window of 4 samples is too short"):
        MODELS[name].build(MODELS[name].config(), 4, FEATURES, CLASSES)


def test_exports_and_every_engine_agrees(network):
    x = torch.randn(64, WINDOW, FEATURES)
    network(x)  # moves batch norm's statistics off their start
    network.eval()
    windows = x.numpy()
    converted = convert(export_onnx(network, x[:1]), windows, "static_wi8_ai8")
    quantized = converted.input_quants[0].quantize(windows)
    files = converted.files
    report = verify(converted.integers, files["model_i8.tflite"], files["model_i8.onnx"], quantized)
    (outputs,) = run(converted.integers, quantized)
    assert outputs.shape == (64, CLASSES)
    assert {e.engine for e in report.engines} >= {"litert_reference", "tflm", "litert", "onnxruntime"}
    with torch.no_grad():
        logits = network(x).numpy()
    found = converted.output_quants[0].dequantize(outputs)
    assert np.abs(found - logits).max() < 0.1 * np.abs(logits).max() + 2 * converted.output_quants[0].scale
    # Folding batch norm removes four values a channel and adds none: a device never holds more than the checkpoint,
    # whose tables (positional encodings) it holds too.
    assert converted.parameters <= sum(value.numel() for value in network.state_dict().values())
    assert converted.macs > 0
    assert is_stateful(converted.integers) == isinstance(network, tuple(MODELS[name].build for name in RECURRENT))
