"""Several heads on every architecture: shapes, gradients, and an export whose outputs are named by head."""

import numpy as np
import pytest
import torch

from edgehar.models import MODELS
from edgehar.models.heads import MultiHead, outputs_of

WINDOW, FEATURES, CLASSES = 64, 6, (4, 1, 3)


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
