"""Strangers' int8 networks: numpy, TFLite Micro on the stranger's own file, and C give one set of bits."""

from __future__ import annotations

import numpy as np
import pytest
from c_cases import compile_networks, compilers, run_network
from foreign_networks import NETWORKS
from tflite_micro import runtime

from firmware_export.ops import node_macs
from firmware_export.passes import LAYOUT_PASSES, run_passes
from firmware_export.reference import run
from firmware_export.targets.onnx import write_qdq
from firmware_export.targets.tflite import write_tflite
from firmware_export.tflite_reader import read_tflite
from firmware_export.verify import verify

SIZES = {"keyword": (2_656_768, 22_604), "anomaly": (264_192, 265_864)}  # multiply-accumulates and parameters
WINDOWS = 24


@pytest.mark.parametrize("name", ["keyword", "anomaly"])
def test_mlperf_tiny(name: str) -> None:
    file = NETWORKS[name]()
    graph = run_passes(read_tflite(file), LAYOUT_PASSES)
    macs = sum(node_macs(graph, node) for node in graph.nodes)
    assert (macs, graph.parameters) == SIZES[name]
    windows = np.random.default_rng(0).integers(-128, 128, (WINDOWS, *graph.values["input"].shape[1:])).astype(np.int8)
    (expected,) = run(graph, windows)
    assert len(np.unique(expected)) > 30
    interpreter = runtime.Interpreter.from_bytes(file, arena_size=2**18)
    for window, row in zip(windows, expected, strict=True):
        interpreter.set_input(window[None], 0)
        interpreter.invoke()
        np.testing.assert_array_equal(interpreter.get_output(0)[0], row)
    library = compile_networks([graph], compilers()["cc"])
    np.testing.assert_array_equal(run_network(library, 0, graph, [windows])[0], expected)
    report = verify(graph, write_tflite(graph, {}), write_qdq(graph), windows)
    assert {e.engine: e.max_lsb for e in report.engines if e.bound_lsb == 0} == {"litert_reference": 0, "tflm": 0}
