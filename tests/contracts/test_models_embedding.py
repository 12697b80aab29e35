"""A siamese network of every architecture: length 1, a step of triplets, and an int8 export all engines agree on."""

import numpy as np
import pytest
import torch
from model_fixtures import model_inputs, model_tensors, tiny_model

from edgehar.models import MODELS
from edgehar.models.heads import MultiHead, with_heads
from edgehar.training.triplets import triplet_loss
from firmware_export.convert import convert
from firmware_export.to_onnx import export_onnx

WIDTH = 8
WITHOUT = {  # why it has no embedding
    "late": "Late adds up votes, which embeddings are not",
    "forest": "Forest has no linear layer `head`",
}


@pytest.fixture(params=[name for name in MODELS if name not in WITHOUT])
def name(request):
    return request.param


@pytest.fixture
def network(name):
    return MultiHead(tiny_model(name), (), WIDTH)


def test_embeddings_have_length_one(name, network):
    (embeddings,) = network(*model_tensors(name, 6))
    assert embeddings.shape == (6, WIDTH)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(6), atol=1e-5)


def test_one_step_of_triplets_changes_every_weight(name, network):
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    (embeddings,) = network(*model_tensors(name, 16))
    triplet_loss(embeddings, torch.arange(16) % 4, 1.0, "semi_hard").backward()
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_exports_beside_a_classifier_and_every_engine_agrees(name):
    network = with_heads(tiny_model(name), (3,), WIDTH)
    x = model_tensors(name, 48)
    network(*x)  # moves batch norm's statistics off their start
    network.eval()
    windows = tuple(each.numpy() for each in x)
    inputs = [each.name for each in model_inputs(name)]
    done = convert(export_onnx(network, x, ("activity", "embedding"), inputs), windows)
    quantized = tuple(quant.quantize(each) for quant, each in zip(done.input_quants, windows, strict=True))
    outputs = done.run(quantized)
    report = done.verify(quantized, outputs, ("multiclass", "embedding"))
    assert {engine.engine for engine in report.engines} >= {"litert_reference", "tflm", "litert", "onnxruntime"}
    quant = done.output_quants[-1]
    assert (quant.scale, quant.zero_point) == (1 / 128, 0)
    found = quant.dequantize(outputs[-1])
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 0.05
    with torch.no_grad():
        real = network(*x)[-1].numpy()
    assert (found * real).sum(axis=1).mean() > 0.95


@pytest.mark.parametrize("name", WITHOUT)
def test_what_has_no_embedding_says_why(name):
    with pytest.raises(ValueError, match=WITHOUT[name]):
        with_heads(tiny_model(name), (3,), WIDTH)
