"""Several outputs on one backbone: any architecture of ``MODELS`` up to its last layer, then one layer an output.

With an embedding among them the network is a siamese one: two windows go through the same weights, and the cosine of
their embeddings says how alike they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


class UnitLength(nn.Module):
    """``[N, E]`` → the same directions at length 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` divided by its Euclidean length."""
        return functional.normalize(x, dim=-1, eps=1e-6)


def take_head(backbone: nn.Module) -> nn.Linear:
    """Take the last layer off a backbone, which then returns embeddings ``[N, E]``, and return it.

    Raises:
        ValueError: the backbone has no such layer.
    """
    last = getattr(backbone, "head", None)
    if not isinstance(last, nn.Linear):
        raise ValueError(f"{type(backbone).__name__} has no linear layer `head` that several heads could replace")
    backbone.head = nn.Identity()
    return last


class MultiHead(nn.Module):
    """``[N, T, F]`` → the backbone's features ``[N, D]`` → logits ``[N, K]`` of each head, in order, and an embedding.

    One layer a head and not one split layer: each output then gets an int8 scale of its own, and no device needs to
    cut a tensor.
    """

    def __init__(self, backbone: nn.Module, classes: Sequence[int], embedding: int = 0) -> None:
        """Take a backbone apart.

        Args:
            backbone: its last layer is its attribute ``head``, an ``nn.Linear``, which is replaced.
            classes: logits of each head; may be empty where there is an embedding.
            embedding: numbers of the embedding, 0 for none; it is the last output, ``[N, E]`` of length 1.

        Raises:
            ValueError: the backbone has no such layer.
        """
        super().__init__()
        last = take_head(backbone)
        self.total_stride = backbone.total_stride
        self.backbone = backbone
        self.heads = nn.ModuleList(nn.Linear(last.in_features, k) for k in classes)
        if embedding:
            self.heads.append(nn.Sequential(nn.Linear(last.in_features, embedding), UnitLength()))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of each head, then the embedding, for the backbone's inputs, ``[N, T, F]`` each."""
        features = self.backbone(*inputs)
        return tuple(head(features) for head in self.heads)


def with_heads(network: nn.Module, classes: Sequence[int], embedding: int = 0) -> nn.Module:
    """Return a network of one head as one that returns the logits of several, then an embedding if that is not 0 wide.

    Raises:
        ValueError: it has no place for them.
    """
    own = getattr(network, "with_heads", None)  # of a late fusion, whose voters each get them
    if embedding:
        if own is not None:
            raise ValueError(f"{type(network).__name__} adds up votes, which embeddings are not")
        return MultiHead(network, classes, embedding)
    found: nn.Module = own(classes) if own is not None else MultiHead(network, classes)
    return found


def outputs_of(network: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return every output of a network, also of one that has one and returns it bare."""
    found = network(*inputs)
    return (found,) if isinstance(found, Tensor) else tuple(found)


def trained_outputs(network: nn.Module, *inputs: Tensor) -> list[tuple[Tensor, ...]]:
    """Return the heads' logits that a loss is due to: the network's, and of a late fusion also each voter's."""
    own = getattr(network, "trained_outputs", None)
    return [outputs_of(network, *inputs)] if own is None else list(own(*inputs))
