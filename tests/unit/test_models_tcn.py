"""The temporal convolutional network: causality, the two paddings, and what the exporter makes of each variant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgehar.models.tcn import TINY, Tcn
from firmware_export.convert import convert
from firmware_export.to_onnx import export_onnx
from firmware_export.verify import verify

WINDOW, FEATURES, CLASSES = 64, 6, 4


def network(**settings: str) -> Tcn:
    torch.manual_seed(0)
    return Tcn(replace(TINY, **settings), WINDOW, FEATURES, CLASSES).eval()


@pytest.mark.parametrize("padding", ["valid", "causal"])
def test_no_column_sees_a_later_one(padding: str) -> None:
    blocks = network(padding=padding).blocks
    x = torch.randn(1, TINY.stem_channels, 30)
    changed = x.clone()
    changed[:, :, 20:] += 1
    with torch.no_grad():
        a, b = blocks(x), blocks(changed)
    newest = a.shape[2] - (30 - 20)  # columns are aligned at the newest
    assert torch.equal(a[:, :, :newest], b[:, :, :newest])
    assert not torch.equal(a[:, :, newest], b[:, :, newest])


def test_padding_changes_only_columns_that_see_it() -> None:
    x = torch.randn(2, TINY.stem_channels, 40)
    with torch.no_grad():
        unpadded, padded = (network(padding=padding).blocks(x) for padding in ("valid", "causal"))
    assert padded.shape[2] == 40
    torch.testing.assert_close(unpadded, padded[:, :, -unpadded.shape[2] :])


@pytest.mark.parametrize("pool", ["mean", "last"])
@pytest.mark.parametrize("padding", ["valid", "causal"])
def test_every_variant_is_exact_on_the_device(padding: str, pool: str) -> None:
    module = network(padding=padding, pool=pool)
    windows = np.random.default_rng(0).normal(size=(40, WINDOW, FEATURES)).astype(np.float32)
    converted = convert(export_onnx(module, torch.zeros(1, WINDOW, FEATURES)), windows, "static_wi8_ai8")
    files, quantized = converted.files, converted.input_quants[0].quantize(windows)
    report = verify(converted.integers, files["model_i8.tflite"], files["model_i8.onnx"], quantized)
    assert {e.engine: e.max_lsb for e in report.engines if e.bound_lsb == 0} == {"litert_reference": 0, "tflm": 0}
    crops = [node.name for node in converted.float_graph.nodes if node.op == "crop1d"]
    # one a block for an unpadded residual, none left of causal padding, one for the last column
    assert len(crops) == (2 if padding == "valid" else 0) + (pool == "last")


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match="tcn: padding is 'same', expected one of valid, causal"):
        network(padding="same")
    with pytest.raises(ValueError, match="tcn: pool is 'max', expected one of mean, last"):
        network(pool="max")
