"""What each fusion computes, from its parts."""

import pytest
import torch

from edgehar.models.early import Config as EarlyConfig
from edgehar.models.early import Early
from edgehar.models.hybrid import Config as HybridConfig
from edgehar.models.hybrid import Hybrid
from edgehar.models.late import Config as LateConfig
from edgehar.models.late import Late
from edgehar.models.parts import Part

SHAPES = ((64, 6), (64, 3), (20,))
CLASSES = 4
STRIDED = Part("ds_cnn", {"stem_channels": 8, "stem_stride": 3, "blocks": ((12, 3, 1),)})
PARTS = (STRIDED, Part("cnn1d"), Part("mlp"))


@pytest.fixture
def tensors():
    torch.manual_seed(1)
    return [torch.randn(5, *shape) for shape in SHAPES]


def test_early_is_its_trunk_on_everything_side_by_side(tensors):
    torch.manual_seed(0)
    network = Early(EarlyConfig(STRIDED), SHAPES[:2], CLASSES).eval()
    together = torch.cat(tensors[:2], dim=2)
    assert torch.equal(network(*tensors[:2]), network.head(network.trunk(together)))
    assert network.trunk.layers[0].in_channels == 9
    features = Early(EarlyConfig(), ((20,), (7,)), CLASSES)
    assert features.trunk.trunk[0].in_features == 27


def test_early_refuses_windows_beside_features():
    with pytest.raises(ValueError, match="all windows or all features; late and hybrid fuse windows with features"):
        Early(EarlyConfig(), SHAPES, CLASSES)
    with pytest.raises(ValueError, match="at least two"):
        Early(EarlyConfig(), [(64, 6), (32, 3)], CLASSES)


def test_late_weighs_the_voters_logits(tensors):
    network = Late(LateConfig(PARTS, weights=(1.0, 2.0, 5.0)), SHAPES, CLASSES).eval()
    each = [voter(x) for voter, x in zip(network.voters, tensors, strict=True)]
    expected = each[0] / 8 + each[1] * 2 / 8 + each[2] * 5 / 8
    assert torch.allclose(network(*tensors), expected, atol=1e-6)
    assert not network.log_weights.requires_grad
    assert Late(LateConfig(PARTS), SHAPES, CLASSES).log_weights.softmax(1).tolist()[0] == pytest.approx([1 / 3] * 3)


def test_the_vote_learns_whom_to_trust(tensors):
    """Voter 2 knows the truth and the others do not: its share grows, and nobody else changes."""
    network = Late(LateConfig(PARTS), SHAPES, CLASSES)
    truth = network.voters[2](tensors[2]).argmax(1)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    before = [p.clone() for p in network.voters.parameters()]
    for _ in range(20):
        (vote,), *_ = network.eval().trained_outputs(*tensors)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(vote, truth).backward()
        optimizer.step()
    shares = network.log_weights.softmax(1)[0]
    assert shares[2] > max(shares[0], shares[1], 0.4)
    assert all(torch.equal(a, b) for a, b in zip(before, network.voters.parameters(), strict=True))


def test_hybrid_joins_embeddings(tensors):
    network = Hybrid(HybridConfig(PARTS, joint=10), SHAPES, CLASSES).eval()
    widths = [part(x).shape[1] for part, x in zip(network.parts, tensors, strict=True)]
    assert network.joint.in_features == sum(widths)
    assert widths[0] == 12
    assert network.total_stride == 6, "a hop must be a multiple of 3 (ds_cnn) and of 2 (cnn1d)"


def test_options_of_a_part_are_those_of_its_model():
    deep = Part("mlp", {"hidden": [7, 5, 3]})
    network = Late(LateConfig((Part("transformer"), Part("lstm"), deep)), SHAPES, CLASSES)
    assert [layer.out_features for layer in network.voters[2].trunk if hasattr(layer, "out_features")] == [7, 5, 3]
