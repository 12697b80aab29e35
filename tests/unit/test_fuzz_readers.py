"""The fuzzer of all readers but ``.tflite``: some mutations of each with a fixed seed, and that it would notice."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgehar.manifest import Manifest

MUTATIONS = 40


def _fuzz() -> ModuleType:
    path = Path(__file__).parents[2] / "tools/fuzz/readers.py"
    spec = importlib.util.spec_from_file_location("fuzz_readers", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_readers"] = module
    spec.loader.exec_module(module)
    return module


FUZZ = _fuzz()


@pytest.mark.parametrize("name", FUZZ.TARGETS)
def test_mutations_end_in_a_result_or_an_error_of_ours(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEHAR_DATASETS", str(tmp_path / "sets"))
    target = FUZZ.TARGETS[name]
    seeds, rng = target.seeds(), random.Random(3)
    said = {FUZZ.run_one(target, data, tmp_path) for data in seeds}
    assert said == {"read"} or name in FUZZ.REFUSED
    said = {FUZZ.run_one(target, FUZZ.mutation(rng, target, seeds), tmp_path) for _ in range(MUTATIONS)}
    assert said - {"read"} or name == "live lines"  # there bad lines are counted and left out


def test_a_failure_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def careless(_: bytes) -> Manifest:
        raise ZeroDivisionError

    monkeypatch.setattr(Manifest, "from_bytes", careless)
    target = FUZZ.TARGETS["manifest"]
    with pytest.raises(ZeroDivisionError):
        FUZZ.run_one(target, target.seeds()[0], tmp_path)
