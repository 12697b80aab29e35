"""Several heads on every architecture: shapes, gradients, and an export whose outputs are named by head."""

import numpy as np
import pytest
import torch

from edgehar.errors import ExportError
from edgehar.models import MODELS
from edgehar.models.heads import MultiHead, outputs_of
from firmware_export.convert import convert
from firmware_export.reference import run
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import verify

WINDOW, FEATURES, CLASSES = 64, 6, (4, 1, 3)
KINDS, NAMES = ("multiclass", "binary", "multilabel"), ("activity", "motion", "body")


@pytest.fixture(params=MODELS)
def network(request):
    torch.manual_seed(0)
    entry = MODELS[request.param]
    return MultiHead(entry.build(entry.tiny, WINDOW, FEATURES, CLASSES[0]), CLASSES)


def test_one_output_a_head(network):
    x = torch.randn(5, WINDOW, FEATURES)
    assert [tuple(y.shape) for y in network(x)] == [(5, k) for k in CLASSES]
    assert network.total_stride >= 1
    assert outputs_of(network, x)[2].shape == (5, 3)


def test_the_heads_share_the_trunk(network):
    x = torch.randn(8, WINDOW, FEATURES)
    sum(y.square().mean() for y in network(x)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_a_backbone_without_a_linear_head_is_refused():
    with pytest.raises(ValueError, match="Flatten has no linear layer `head`"):
        MultiHead(torch.nn.Flatten(), CLASSES)


def test_bare_logits_count_as_one_head():
    logits = outputs_of(torch.nn.Identity(), torch.ones(2, 3))
    assert len(logits) == 1
    assert np.array_equal(logits[0], np.ones((2, 3)))


@pytest.fixture
def converted(network):
    x = torch.randn(64, WINDOW, FEATURES)
    network(x)  # moves batch norm's statistics off their start
    network.eval()
    return convert(export_onnx(network, x[:1], NAMES), x.numpy()), x.numpy()


def test_exports_with_named_outputs_and_every_engine_agrees(converted):
    done, windows = converted
    quantized = done.input_quants[0].quantize(windows)
    verify(done.integers, done.files["model_i8.tflite"], done.files["model_i8.onnx"], quantized, kinds=KINDS)
    assert done.integers.outputs == NAMES
    assert [y.shape for y in run(done.integers, quantized)] == [(64, k) for k in CLASSES]
    assert len(set(done.output_quants)) == len(NAMES)


def test_flipped_answers_are_counted_whatever_the_kind(monkeypatch):
    """An engine that is one step off where a yes turns into a no: within its bound, and every answer another."""
    torch.manual_seed(0)
    network = MultiHead(MODELS["cnn1d"].build(MODELS["cnn1d"].tiny, WINDOW, FEATURES, CLASSES[0]), CLASSES)
    x = torch.randn(64, WINDOW, FEATURES)
    done = convert(export_onnx(network.eval(), x[:1], NAMES), x.numpy())
    quantized = done.input_quants[0].quantize(x.numpy())
    expected = run(done.integers, quantized)
    zero = done.output_quants[1].zero_point
    assert zero > -128  # there is room for a no
    expected = (expected[0], np.full_like(expected[1], zero), expected[2])

    def one_step_lower(candidate, windows):
        return expected[0], expected[1] - np.int8(1), expected[2]

    files = done.files["model_i8.tflite"], done.files["model_i8.onnx"]
    monkeypatch.setattr("firmware_export.verify.ENGINES", {"litert": one_step_lower})
    as_multiclass = verify(done.integers, *files, quantized, expected)  # nothing to see
    as_they_are = verify(done.integers, *files, quantized, expected, kinds=KINDS)
    assert [r.engines[0].same_label for r in (as_multiclass, as_they_are)] == [1.0, 0.0]


def test_an_output_may_not_be_called_like_the_input(network):
    with pytest.raises(ExportError, match="an output is called 'features'"):
        export_onnx(network, torch.zeros(1, WINDOW, FEATURES), ("a", "features", "b"))
