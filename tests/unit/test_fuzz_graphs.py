"""The fuzzer of ``tools/fuzz/graphs.py``: its graphs are valid and of every op, and it would notice a wrong bit."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgehar.c_compiler import find_compiler
from firmware_export.targets.c import EMITTERS


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    path = Path(__file__).parents[2] / "tools/fuzz/graphs.py"
    spec = importlib.util.spec_from_file_location("fuzz_graphs", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_graphs"] = module
    spec.loader.exec_module(module)
    return module


def test_graphs_are_valid_of_every_op_and_made_again_by_their_seed(fuzz: ModuleType) -> None:
    graphs = [fuzz.random_graph((5, number)) for number in range(250)]
    assert {node.op for graph in graphs for node in graph.nodes} == set(EMITTERS)
    assert max(len(graph.nodes) for graph in graphs) == fuzz.MOST_OPS
    assert sum(len(graph.inputs) > 1 for graph in graphs) > 10
    assert sum(len(graph.outputs) > 1 for graph in graphs) > 10
    assert fuzz.random_graph((5, 7)).dump() == graphs[7].dump()


def test_a_batch_passes_and_a_wrong_bit_is_noticed(fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = find_compiler()
    assert compiler is not None
    monkeypatch.setattr(fuzz, "BATCH", 5)
    monkeypatch.setenv("EDGEHAR_CACHE", "")  # the fuzzer sets its own
    found = fuzz.Found()
    fuzz.check_batch(1, 0, found, compiler, emulate=False)
    assert found.failures == []
    assert set(found.runs.values()) == {5}
    correct = fuzz.run

    def wrong(graph, windows):
        first, *others = correct(graph, windows)
        return np.bitwise_xor(first, 1), *others

    monkeypatch.setattr(fuzz, "run", wrong)
    fuzz.check_batch(1, 0, found, compiler, emulate=False)
    assert len(found.failures) == 5 * len(found.runs)
