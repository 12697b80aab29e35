"""Per-layer sensitivity on a net with one deliberately bad layer, and the command around it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgehar.cli import sensitivity as command
from edgehar.errors import ExportError
from firmware_export.calibration import calibrate
from firmware_export.graph import Graph, Node, Value, assemble
from firmware_export.ops.conv1d import Conv1d
from firmware_export.ops.dense import Dense
from firmware_export.ops.max_pool1d import MaxPool1d
from firmware_export.ops.op import FusedActivation
from firmware_export.ops.reshape import Reshape
from firmware_export.passes import RANGE_PASSES, run_passes
from firmware_export.quantize import quantize
from firmware_export.sensitivity import Sensitivity, layer_sensitivity

RELU = FusedActivation.RELU
HUGE = 300.0


def network(bad: str | None) -> Graph:
    """Three convolutions, max pool, dense; ``bad`` puts out one channel 300 times the others, which no layer needs."""
    rng = np.random.default_rng(0)
    values, nodes, before = [Value("x", (1, 24, 4))], [], "x"
    for name in ("one", "two", "three"):
        weight = (rng.normal(size=(4, 3, 4)) * 0.5).astype(np.float32)
        if before == bad:
            weight[:, :, 2] = 0
        if name == bad:
            weight[2] *= HUGE
        length = values[-1].shape[1] - 2
        values += [
            Value(f"{name}/w", weight.shape, data=weight),
            Value(f"{name}/b", (4,), data=np.zeros(4, np.float32)),
            Value(name, (1, length, 4)),
        ]
        nodes.append(
            Node("conv1d", name, (before, f"{name}/w", f"{name}/b"), (name,), Conv1d(kernel=3, activation=RELU))
        )
        before = name
    head = rng.normal(size=(5, 36)).astype(np.float32)
    nodes += [
        Node("max_pool1d", "pool", ("three",), ("pool",), MaxPool1d(2, 2)),
        Node("reshape", "flat", ("pool",), ("flat",), Reshape((1, 36))),
        Node("dense", "head", ("flat", "head/w", "head/b"), ("y",), Dense()),
    ]
    values += [
        Value("pool", (1, 9, 4)),
        Value("flat", (1, 36)),
        Value("head/w", head.shape, data=head),
        Value("head/b", (5,), data=np.zeros(5, np.float32)),
        Value("y", (1, 5)),
    ]
    return assemble(["x"], ["y"], nodes, values)


def measure(bad: str | None, kind: str = "multiclass") -> Sensitivity:
    graph = network(bad)
    windows = np.random.default_rng(1).normal(size=(100, 24, 4)).astype(np.float32)
    return layer_sensitivity(graph, quantize(run_passes(calibrate(graph, windows), RANGE_PASSES)), windows, [kind])


@pytest.mark.parametrize("bad", ["one", "two"])
def test_the_layer_with_one_huge_channel_comes_out_worst(bad: str) -> None:
    good, found = measure(None), measure(bad)
    assert found.layers[0].name == bad
    worst, next_worst = found.layers[0], found.layers[1]
    assert worst.logits_db is not None and next_worst.logits_db is not None
    assert worst.logits_db < next_worst.logits_db - 10
    assert worst.changed_labels > 5 * max(0.01, next_worst.changed_labels)
    healthy = next(layer for layer in good.layers if layer.name == bad)
    assert healthy.logits_db is not None and healthy.logits_db > worst.logits_db + 10
    assert found.changed_labels > good.changed_labels


def test_figures_of_a_healthy_network() -> None:
    found = measure(None)
    layers = {layer.name: layer for layer in found.layers}
    assert set(layers) == {"x", "one", "two", "three", "pool", "flat", "head"}
    # moving integers is free; the rounding belongs to the layer that made them
    for name in ("pool", "flat"):
        assert (layers[name].logits_db, layers[name].alone_db, layers[name].changed_labels) == (None, None, 0.0)
    # a uniform error of one step: 8 bits are some 40 dB for such signals; errors add up on the way
    for name in ("x", "one", "two", "three", "head"):
        alone, accumulated = layers[name].alone_db, layers[name].accumulated_db
        assert alone is not None and accumulated is not None
        assert 30 < alone < 55 and accumulated < alone + 0.1
    assert layers["head"].alone_db == layers["head"].logits_db
    assert layers["head"].accumulated_db == found.logits_db
    assert layers["x"].accumulated_db == layers["x"].alone_db
    assert layers["one"].weight_db is not None and layers["one"].weight_db > 40
    assert layers["x"].weight_db is None
    assert layers["flat"].scale == layers["three"].scale > 0
    known = [layer.logits_db for layer in found.layers if layer.logits_db is not None]
    assert known == sorted(known)


def test_heads_of_yes_and_no_change_with_any_answer() -> None:
    """Five answers flip more often than one choice among five; each is a sign, not a comparison."""
    one_choice, five_answers = measure("two"), measure("two", "multilabel")
    assert five_answers.changed_labels > one_choice.changed_labels > 0
    assert five_answers.logits_db == one_choice.logits_db


def test_graphs_of_two_networks_are_refused() -> None:
    graph = network(None)
    windows = np.zeros((2, 24, 4), np.float32)
    quantized = quantize(run_passes(calibrate(graph, windows), RANGE_PASSES))
    other = replace(quantized, nodes=quantized.nodes[:-1], outputs=("flat",))
    with pytest.raises(ExportError, match="not one network"):
        layer_sensitivity(graph, other, windows)


def test_command_writes_table_chart_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = measure("two")
    command.draw(found, "net", tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    from rich.console import Console

    Console(width=100).print(command.sensitivity_table(found, "net"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("net: outputs")
    assert next(line for line in lines if "conv1d" in line).split()[0] == "two"
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["layers"][0]["name"] == "two"
