"""Several heads on one backbone: any architecture of ``MODELS`` up to its last layer, then one linear layer a head."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


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
        last = getattr(backbone, "head", None)
        if not isinstance(last, nn.Linear):
            raise ValueError(f"{type(backbone).__name__} has no linear layer `head` that several heads could replace")
        self.total_stride = backbone.total_stride
        backbone.head = nn.Identity()
        self.backbone = backbone
        self.heads = nn.ModuleList(nn.Linear(last.in_features, k) for k in classes)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of each head for the backbone's inputs, ``[N, T, F]`` each."""
        embedding = self.backbone(*inputs)
        return tuple(head(embedding) for head in self.heads)


def outputs_of(network: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the logits of each head, also of a network that has one and returns it bare."""
    found = network(*inputs)
    return (found,) if isinstance(found, Tensor) else tuple(found)
