"""Several heads on one backbone: any architecture of ``MODELS`` up to its last layer, then one linear layer a head."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


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
    """``[N, T, F]`` → the backbone's embedding ``[N, E]`` → logits ``[N, K]`` of each head, in order.

    One layer a head and not one split layer: each output then gets an int8 scale of its own, and no device needs to
    cut a tensor.
    """

    def __init__(self, backbone: nn.Module, classes: Sequence[int]) -> None:
        """Take a backbone apart.

        Args:
            backbone: its last layer is its attribute ``head``, an ``nn.Linear``, which is replaced.
            classes: logits of each head.

        Raises:
            ValueError: the backbone has no such layer.
        """
        super().__init__()
        last = take_head(backbone)
        self.total_stride = backbone.total_stride
        self.backbone = backbone
        self.heads = nn.ModuleList(nn.Linear(last.in_features, k) for k in classes)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of each head for the backbone's inputs, ``[N, T, F]`` each."""
        embedding = self.backbone(*inputs)
        return tuple(head(embedding) for head in self.heads)


def with_heads(network: nn.Module, classes: Sequence[int]) -> nn.Module:
    """Return a network of one head as one that returns the logits of several.

    Raises:
        ValueError: it has no place for them.
    """
    own = getattr(network, "with_heads", None)  # of a late fusion, whose voters each get them
    found: nn.Module = own(classes) if own is not None else MultiHead(network, classes)
    return found


def outputs_of(network: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the logits of each head, also of a network that has one and returns it bare."""
    found = network(*inputs)
    return (found,) if isinstance(found, Tensor) else tuple(found)


def trained_outputs(network: nn.Module, *inputs: Tensor) -> list[tuple[Tensor, ...]]:
    """Return the heads' logits that a loss is due to: the network's, and of a late fusion also each voter's."""
    own = getattr(network, "trained_outputs", None)
    return [outputs_of(network, *inputs)] if own is None else list(own(*inputs))
