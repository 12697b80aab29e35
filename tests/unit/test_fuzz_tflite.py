"""The fuzzer of ``tools/fuzz``: a few hundred mutations with a fixed seed, and that it would notice a failure."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from foreign_networks import keyword

from firmware_export.tflite_reader import file as tflite_file


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    path = Path(__file__).parents[2] / "tools/fuzz/tflite.py"
    spec = importlib.util.spec_from_file_location("fuzz_tflite", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_tflite"] = module
    spec.loader.exec_module(module)
    return module


def test_mutations_end_in_a_graph_or_an_export_error(fuzz: ModuleType) -> None:
    fuzzer = fuzz.Fuzzer(11, guided=False)
    for data in fuzz.seeds():
        fuzzer.feed(data)
    fuzzer.outcomes.clear()
    seeds = len(fuzzer.corpus)
    for _ in range(400):
        data, places = fuzzer.rng.choice(fuzzer.corpus[:seeds])
        fuzzer.outcomes[fuzz.outcome(fuzz.mutated(fuzzer.rng, data, places, fuzzer.corpus[0][0]))] += 1
    assert set(fuzzer.outcomes) == {"graph", "ExportError", "UnsupportedOpError"}
    assert min(fuzzer.outcomes.values()) > 5  # every kind of end is reached


def test_guided_inputs_that_go_new_ways_join_the_corpus(fuzz: ModuleType) -> None:
    fuzzer = fuzz.Fuzzer(3)
    data = keyword(small=True)
    assert fuzzer.feed(data) == "graph" and fuzzer.feed(data) == "graph"
    assert len(fuzzer.corpus) == 1
    assert fuzzer.feed(data[: len(data) // 2]) == "ExportError"
    assert len(fuzzer.corpus) == 2


def test_places_are_those_that_the_reader_believes(fuzz: ModuleType) -> None:
    data = keyword(small=True)
    places = fuzz.interpreted(data)
    assert (0, 4) in places and len(places) > 300
    assert all(0 <= at <= len(data) - size for at, size in places)


def test_anything_else_than_an_export_error_is_noticed(fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite_file, "MOST_AXES", "eight")
    with pytest.raises(TypeError):
        fuzz.outcome(keyword(small=True))
