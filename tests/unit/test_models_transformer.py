"""The transformer: its parts against PyTorch's own, and what the exporter makes of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from edgehar.models.transformer import TINY, Block, Head, Transformer, UnitNorm, sinusoids
from firmware_export.convert import convert
from firmware_export.to_onnx import export_onnx

WINDOW, FEATURES, CLASSES = 64, 6, 4


def test_positions_are_sines_and_cosines() -> None:
    table = sinusoids(20, 8).numpy()
    assert table.shape == (20, 8)
    for channel, wave in ((0, np.sin), (1, np.cos), (4, np.sin), (7, np.cos)):
        frequency = 10_000 ** (-(channel // 2 * 2) / 8)
        np.testing.assert_allclose(table[:, channel], wave(np.arange(20) * frequency), atol=1e-5)


def test_unit_norm_is_rms_norm_and_keeps_zeros() -> None:
    x = torch.randn(3, 5, 8)
    torch.testing.assert_close(UnitNorm(8)(x), nn.RMSNorm(8, eps=0.0)(x))
    assert torch.equal(UnitNorm(8)(torch.zeros(1, 1, 8)), torch.zeros(1, 1, 8))


def test_heads_are_multi_head_attention() -> None:
    torch.manual_seed(0)
    heads, whole = [Head(8, 4), Head(8, 4)], nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        nothing = torch.zeros(8)
        whole.in_proj_weight.copy_(
            torch.cat([getattr(h, part).weight for part in ("query", "key", "value") for h in heads])
        )
        whole.in_proj_bias.copy_(torch.cat([*(h.query.bias for h in heads), nothing, *(h.value.bias for h in heads)]))
        whole.out_proj.weight.copy_(torch.cat([h.output.weight for h in heads], dim=1))
        whole.out_proj.bias.zero_()
        x = torch.randn(2, 7, 8)
        torch.testing.assert_close(sum(h(x) for h in heads), whole(x, x, x)[0])


def test_a_block_has_no_order_but_the_network_has() -> None:
    torch.manual_seed(0)
    block, x = Block(TINY, 8).eval(), torch.randn(1, 7, 8)
    with torch.no_grad():
        torch.testing.assert_close(block(x.flip(1)), block(x).flip(1))
        network = Transformer(TINY, WINDOW, FEATURES, CLASSES).eval()
        y = network.stem(torch.randn(1, FEATURES, WINDOW)).transpose(1, 2)
        ahead, back = (network.blocks(z + network.positions).mean(1) for z in (y, y.flip(1)))
    assert (ahead - back).abs().max() > 1e-3


def test_gains_and_scales_cost_the_device_nothing() -> None:
    torch.manual_seed(0)
    network = Transformer(TINY, WINDOW, FEATURES, CLASSES)
    windows = np.random.default_rng(0).normal(size=(8, WINDOW, FEATURES)).astype(np.float32)
    converted = convert(export_onnx(network, torch.zeros(1, WINDOW, FEATURES)), windows, "static_wi8_ai8")
    ops = [node.op for node in converted.integers.nodes]
    assert "batch_norm" not in ops and "depthwise_conv1d" not in ops
    assert ops.count("batch_matmul") == 2 * TINY.heads * TINY.blocks
    assert ops.count("add_constant") == 1
