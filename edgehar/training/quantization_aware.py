"""Quantization-aware training: a trained network trains on with the rounding of its int8 form in the forward pass.

The rounding is the exporter's (``firmware_export/affine.py``): weights symmetric, one scale an output channel,
``largest / 127``; activations asymmetric, one scale a tensor; batch norm folded into the layer before it; a clamp
belongs to the layer before it; what only moves numbers (pools, slices, reshapes) keeps one scale on all sides.
Scales of activations start at the smallest and largest value over training windows and are learnt; the exported ONNX
carries them as QuantizeLinear and DequantizeLinear, and the exporter keeps them.

Source: Jacob et al. 2018 (arXiv:1712.05877), section 3, for training with the rounding; Esser et al. 2020
(arXiv:1902.08153) for learnt scales.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from edgehar.errors import ConfigError

LOW, HIGH = -128, 127
LARGEST_WEIGHT = 127  # -128 is left out, as in the exporter
SMALLEST_STEP = 2.0**-20

_LAYERS = (nn.Conv1d, nn.Linear)
_MOVES_MODULES = (nn.ReLU, nn.Dropout, nn.Identity, nn.Flatten, nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d)
_CLAMPS = (nn.ReLU, torch.relu, nn.functional.relu, "relu")
_SUMS = (operator.add, torch.add, "add")
_MEANS = (nn.AvgPool1d, nn.AdaptiveAvgPool1d, torch.mean, "mean")  # they round once more, to their input's scale
_MOVES = (
    *(operator.getitem, torch.cat, torch.flatten, torch.transpose, torch.reshape, torch.squeeze, torch.relu),
    *(nn.functional.relu, torch.mean, torch.amax),
    *("transpose", "permute", "flatten", "reshape", "view", "squeeze", "unsqueeze", "contiguous", "relu", "mean"),
    *("amax", "size"),
)


class Rounding(nn.Module):
    """Rounds activations to int8 and back. Gradients pass as if it did not, and reach the scale.

    Attributes:
        observing: sees values and lets them through, see :meth:`start`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("zero_point", torch.zeros((), dtype=torch.int32))
        self.zero_point: Tensor
        self.observing = False
        self._seen = (0.0, 0.0)
        self._fixed = (1.0, 0)

    def train(self, mode: bool = True) -> Rounding:
        """Fix the numbers that an export takes, when training ends."""
        super().train(mode)
        if not mode:
            self._fixed = (float(self.log_scale.detach().exp()), int(self.zero_point))
        return self

    def start(self) -> None:
        """Set scale and zero point to what was observed; 0 gets an exact integer."""
        low, high = self._seen
        scale = max((high - low) / (HIGH - LOW), SMALLEST_STEP)
        self.log_scale.data.fill_(scale).log_()
        self.zero_point.fill_(min(max(round(LOW - low / scale), LOW), HIGH))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` as int8 represents it."""
        if self.observing:
            self._seen = (min(self._seen[0], float(x.min())), max(self._seen[1], float(x.max())))
            return x
        if not self.training:
            return torch.fake_quantize_per_tensor_affine(x, *self._fixed, LOW, HIGH)
        scale = self.log_scale.exp()
        q = (_passed(torch.round, x / scale) + self.zero_point).clamp(LOW, HIGH)
        rounded: Tensor = (q - self.zero_point) * scale
        return rounded


def _passed(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function whose gradient is taken to be 1 (straight-through estimator)."""
    return x + (function(x) - x).detach()


def rounded_weight(weight: Tensor) -> Tensor:
    """Return a weight ``[C, ...]`` as symmetric int8 represents it, one scale an entry of C."""
    largest = weight.detach().flatten(1).abs().amax(dim=1).clamp_min(1e-30)
    scale = (largest / LARGEST_WEIGHT).reshape(-1, *[1] * (weight.dim() - 1))
    rounded: Tensor = _passed(torch.round, weight / scale).clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT) * scale
    return rounded


class RoundedConv1d(nn.Conv1d):
    """A convolution with rounded weights, fixed in evaluation."""

    fixed: Tensor

    def train(self, mode: bool = True) -> RoundedConv1d:
        """Round the weights once, when training ends."""
        super().train(mode)
        _fix_weight(self, mode)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution."""
        weight = rounded_weight(self.weight) if self.training else self.fixed
        y: Tensor = self._conv_forward(x, weight, self.bias)
        return y


class RoundedLinear(nn.Linear):
    """A fully connected layer with rounded weights, fixed in evaluation."""

    fixed: Tensor

    def train(self, mode: bool = True) -> RoundedLinear:
        """Round the weights once, when training ends."""
        super().train(mode)
        _fix_weight(self, mode)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return the product."""
        return nn.functional.linear(x, rounded_weight(self.weight) if self.training else self.fixed, self.bias)


def _fix_weight(layer: nn.Module, training: bool) -> None:
    if not training and isinstance(layer.weight, Tensor):
        layer.fixed = rounded_weight(layer.weight.detach())


class QuantizationAware(nn.Module):
    """A network with int8 rounding inside; its ranges are to be set once (:func:`set_ranges`).

    The same network class and sizes give the same names of parameters.

    Args:
        network: convolutions, fully connected layers, batch norm, ReLU, sums, pools, concatenations; it is copied.

    Raises:
        ConfigError: it holds something else; names it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.total_stride = network.total_stride
        self.network = _traced(copy.deepcopy(network))
        _fold_batch_norms(self.network)
        _round_weights(self.network)
        _round_activations(self.network)

    def forward(self, *inputs: Tensor) -> Any:
        """Return what the network returns."""
        return self.network(*inputs)


def _traced(network: nn.Module) -> fx.GraphModule:
    try:
        return fx.symbolic_trace(network)
    except Exception as error:  # fx raises dozens of types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"quantization-aware training cannot follow {type(network).__name__}: {reason}; it takes convolutional "
            "and fully connected networks without control flow on the data"
        ) from None


@torch.no_grad()
def set_ranges(network: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Let the scales of activations cover what the network makes of these windows, without rounding.

    Args:
        network: a :class:`QuantizationAware`.
        inputs: ``[N, ...]`` of each input.
    """
    roundings = [module for module in network.modules() if isinstance(module, Rounding)]
    training = network.training
    network.eval()
    for rounding in roundings:
        rounding.observing = True
    network(*inputs)
    for rounding in roundings:
        rounding.observing = False
        rounding.start()
    network.train(training)


def _module(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def _is(traced: fx.GraphModule, node: fx.Node, kinds: Sequence[Any]) -> bool:
    """Return whether a node calls one of these module classes, functions or (as strings) methods."""
    module = _module(traced, node)
    if module is not None:
        return isinstance(module, tuple(kind for kind in kinds if isinstance(kind, type)))
    return node.op in ("call_function", "call_method") and node.target in kinds


def _fold_batch_norms(traced: fx.GraphModule) -> None:
    for node in list(traced.graph.nodes):
        norm = _module(traced, node)
        if not isinstance(norm, nn.BatchNorm1d):
            continue
        source = node.args[0]
        while isinstance(source, fx.Node) and _is(traced, source, (operator.getitem,)) and len(source.users) == 1:
            source = source.args[0]  # a slice of columns: the norm of a column may come first
        layer = _module(traced, source) if isinstance(source, fx.Node) else None
        if not isinstance(source, fx.Node) or not isinstance(layer, _LAYERS) or len(source.users) != 1:
            raise ConfigError(f"quantization-aware training: batch norm {node.target!r} follows no layer of its own")
        fuse: Any = fuse_conv_bn_weights if isinstance(layer, nn.Conv1d) else fuse_linear_bn_weights
        statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
        layer.weight, layer.bias = (p.requires_grad_(True) for p in fuse(layer.weight, layer.bias, *statistics))
        node.replace_all_uses_with(node.args[0])
        traced.graph.erase_node(node)
        traced.delete_submodule(str(node.target))
    traced.recompile()


def _round_weights(traced: fx.GraphModule) -> None:
    for node in traced.graph.nodes:
        layer = _module(traced, node)
        kind: type[nn.Module] | None = {nn.Conv1d: RoundedConv1d, nn.Linear: RoundedLinear}.get(type(layer))
        if layer is not None and kind is not None:
            layer.__class__ = kind
            weight = layer.weight
            assert isinstance(weight, Tensor)
            layer.register_buffer("fixed", weight.detach().clone(), persistent=False)


def _round_activations(traced: fx.GraphModule) -> None:
    """Insert one :class:`Rounding` a scale, wherever numbers of that scale are computed."""
    scale: dict[fx.Node, int] = {}  # node -> its scale
    places: list[fx.Node] = []
    count = 0
    for node in traced.graph.nodes:
        given = _tensors(node, scale)
        if node.op == "placeholder" or _is(traced, node, (*_LAYERS, *_SUMS)):
            scale[node] = count = count + 1
            places.append(node)
        elif node.op == "output":
            continue
        elif given and _is(traced, node, (*_MOVES_MODULES, *_MOVES)):
            scale[node] = scale[given[0]]
            merged = {scale[each] for each in given}
            scale.update({each: scale[node] for each, its in scale.items() if its in merged})
            if _is(traced, node, _CLAMPS) and given[0] in places and len(given[0].users) == 1:
                places[places.index(given[0])] = node
            elif _is(traced, node, _MEANS):
                places.append(node)
        else:
            what = _module(traced, node)
            name = type(what).__name__ if what is not None else getattr(node.target, "__name__", str(node.target))
            raise ConfigError(
                f"quantization-aware training has no rounding for {name} ({node.name!r}); it takes convolutions, fully "
                "connected layers, batch norm, ReLU, sums, pools and concatenations"
            )
    numbers = {its: i for i, its in enumerate(dict.fromkeys(scale[node] for node in places))}
    for its, i in numbers.items():
        del its
        traced.add_submodule(f"rounding_{i}", Rounding())
    for node in places:
        users = list(node.users)
        with traced.graph.inserting_after(node):
            rounded = traced.graph.call_module(f"rounding_{numbers[scale[node]]}", (node,))
        for user in users:
            user.replace_input_with(node, rounded)
    traced.graph.lint()
    traced.recompile()


def _tensors(node: fx.Node, known: dict[fx.Node, int]) -> list[fx.Node]:
    """Return the tensors that a node reads."""
    return [each for each in node.all_input_nodes if each in known]
