"""The joint network: its two branches, and the published size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgehar.models import count_parameters
from edgehar.models.joint import PUBLISHED, TINY, Joint
from firmware_export.convert import convert
from firmware_export.to_onnx import export_onnx

WINDOW, FEATURES, CLASSES = 64, 6, 4


def test_kernels_of_any_length_give_the_same_columns() -> None:
    network = Joint(replace(TINY, kernels=(1, 3, 9)), 63, FEATURES, CLASSES)
    shapes = {tuple(convolution(torch.zeros(1, FEATURES, 63)).shape) for convolution in network.convolutions}
    assert shapes == {(1, TINY.channels, 16)}
    assert network.positions.shape == (16, 3 * TINY.channels)


def test_even_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"joint: kernels are \(3, 4\), expected odd numbers"):
        Joint(replace(TINY, kernels=(3, 4)), WINDOW, FEATURES, CLASSES)


def test_both_branches_reach_the_device() -> None:
    torch.manual_seed(0)
    network = Joint(TINY, WINDOW, FEATURES, CLASSES)
    windows = np.random.default_rng(0).normal(size=(8, WINDOW, FEATURES)).astype(np.float32)
    converted = convert(export_onnx(network, torch.zeros(1, WINDOW, FEATURES)), windows, "static_wi8_ai8")
    ops = [node.op for node in converted.integers.nodes]
    assert ops.count("lstm") == TINY.lstm_layers
    assert ops.count("batch_matmul") == 2 * TINY.attention_heads
    assert ops.count("concat") == 2


def test_published_size() -> None:
    network = Joint(PUBLISHED, 128, 9, 6)
    assert [layer.out_features for layer in network.dense if isinstance(layer, torch.nn.Linear)] == [512, 256]
    assert count_parameters(network) > 1_000_000
    assert network(torch.zeros(2, 128, 9)).shape == (2, 6)
