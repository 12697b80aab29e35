"""Several heads on every architecture: shapes, gradients, and an export whose outputs are named by head."""

import numpy as np
import pytest
import torch
from model_fixtures import model_inputs, model_tensors, tiny_model

from edgehar.errors import ExportError
from edgehar.models import MODELS
from edgehar.models.heads import MultiHead, outputs_of, trained_outputs, with_heads
from firmware_export.convert import convert
from firmware_export.reference import run
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import verify

CLASSES = (4, 1, 3)
KINDS, NAMES = ("multiclass", "binary", "multilabel"), ("activity", "motion", "body")


@pytest.fixture(params=[name for name, entry in MODELS.items() if entry.grow is None])
def name(request):
    return request.param


@pytest.fixture
def network(name):
    return with_heads(tiny_model(name), CLASSES)


def test_one_output_a_head(name, network):
    x = model_tensors(name, 5)
    assert [tuple(y.shape) for y in network(*x)] == [(5, k) for k in CLASSES]
    assert network.total_stride >= 1
    assert outputs_of(network, *x)[2].shape == (5, 3)


def test_the_heads_share_the_trunk(name, network):
    sum(y.square().mean() for y in network(*model_tensors(name, 8))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_a_backbone_without_a_linear_head_is_refused():
    with pytest.raises(ValueError, match="Flatten has no linear layer `head`"):
        MultiHead(torch.nn.Flatten(), CLASSES)


def test_a_forest_has_one_head():
    with pytest.raises(ValueError, match="Forest has no linear layer `head`"):
        with_heads(tiny_model("forest"), CLASSES)


def test_bare_logits_count_as_one_head():
    logits = outputs_of(torch.nn.Identity(), torch.ones(2, 3))
    assert len(logits) == 1
    assert np.array_equal(logits[0], np.ones((2, 3)))


def test_late_fusion_trains_each_voter_as_if_alone():
    """Only its own loss moves a voter, only the vote's loss moves the weights, of each head apart."""
    network = with_heads(tiny_model("late"), CLASSES)
    vote, *voters = trained_outputs(network, *model_tensors("late", 8))
    assert len(voters) == 3
    sum(y.square().mean() for y in vote).backward()
    assert network.log_weights.grad.abs().sum(dim=1).min() > 0
    assert all(p.grad is None for p in network.voters.parameters())
    voters[1][0].square().mean().backward()
    moved = [any(p.grad is not None for p in voter.parameters()) for voter in network.voters]
    assert moved == [False, True, False]


@pytest.fixture
def converted(name, network):
    x = model_tensors(name, 64)
    network(*x)  # moves batch norm's statistics off their start
    network.eval()
    windows = tuple(each.numpy() for each in x)
    return convert(export_onnx(network, x, NAMES, [each.name for each in model_inputs(name)]), windows), windows


def test_exports_with_named_outputs_and_every_engine_agrees(converted):
    done, windows = converted
    quantized = [quant.quantize(x) for quant, x in zip(done.input_quants, windows, strict=True)]
    verify(done.integers, done.files["model_i8.tflite"], done.files["model_i8.onnx"], quantized, kinds=KINDS)
    assert done.integers.outputs == NAMES
    assert [y.shape for y in run(done.integers, quantized)] == [(64, k) for k in CLASSES]
    assert len(set(done.output_quants)) == len(NAMES)


def test_flipped_answers_are_counted_whatever_the_kind(monkeypatch):
    """An engine that is one step off where a yes turns into a no: within its bound, and every answer another."""
    network = MultiHead(tiny_model("cnn1d"), CLASSES)
    (x,) = model_tensors("cnn1d", 64)
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


def test_an_output_may_not_be_called_like_the_input():
    network = MultiHead(tiny_model("cnn1d"), CLASSES)
    with pytest.raises(ExportError, match="an output is called 'features'"):
        export_onnx(network, model_tensors("cnn1d", 1), ("a", "features", "b"))
