"""The language of faults: numbers, units, order, and what is said about mistakes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from device_sim.faults import EXAMPLE, FaultSpec, parse_faults, read_faults
from device_sim.faults.stalling import StallingEngine
from edgehar.errors import UsageError


def test_numbers_units_and_order():
    assert parse_faults("drop:0.05,nan:1%, jitter:5ms") == parse_faults("nan:0.01,jitter:0.005s,drop:5%")
    ordered = ["turn:180deg", "saturate:2g", "nan:0.01", "drop:0.05", "jitter:5ms"]
    assert [str(f) for f in parse_faults(EXAMPLE)] == ordered
    assert parse_faults("gap:200ms") == (FaultSpec("gap", 0.2),)
    assert parse_faults("turn:-90") == (FaultSpec("turn", -90.0),)
    assert parse_faults("drift:1%") == (FaultSpec("drift", 10_000.0),)
    assert parse_faults("drop:1e-3") == (FaultSpec("drop", 0.001),)


MISTAKES = {
    "dorp:0.1": "unknown fault 'dorp', did you mean 'drop'?",
    "gaps:1": "did you mean 'gap'?",
    "": "unknown fault ''",
    "drop": "has no severity, expected drop:0.05",
    "drop:": "severity '' of fault 'drop'",
    "drop:5ms": "severity '5ms' of fault 'drop': expected a number as 0.05 or 5%",
    "drop:1.5": "from 0 to 1 ",
    "drop:nan": "severity 'nan'",
    "adc:7.5": "a whole number from 1 to 24",
    "burst:1": "from 0 to 0.9",
    "drop:0.1,drop:0.2": "named twice",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_mistakes_are_named(text, message):
    with pytest.raises(UsageError) as caught:
        parse_faults(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_page_has_the_table():
    path = Path(__file__).parents[2] / "tools" / "fault_table.py"
    spec = importlib.util.spec_from_file_location("fault_table", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = tool.PAGE.read_text("utf-8")
    assert tool.page(text) == text, "run tools/fault_table.py"


def test_a_toml_file_says_the_same(tmp_path):
    path = tmp_path / "field.toml"
    path.write_text('[faults]\nturn = 180\ndrop = 0.05\njitter = "5ms"\n')
    assert read_faults(str(path)) == parse_faults("drop:0.05,jitter:5ms,turn:180")
    refused = {
        "[faults\n": "is no TOML",
        "drop = 0.1\n": "expected one table",
        "[faults]\ndorp = 0.1\n": "did you mean 'drop'",
        "[faults]\ndrop = true\n": "severity 'True'",
        "[faults]\ndrop = [0.1]\n": "expected one number",
    }
    for text, message in refused.items():
        path.write_text(text)
        with pytest.raises(UsageError, match=message.replace("[", r"\[")):
            read_faults(str(path))
    with pytest.raises(UsageError, match="cannot be read"):
        read_faults(str(tmp_path / "none.toml"))


class Counting:
    name, version = "counting", "1"

    def infer(self, *inputs):
        return inputs

    def reset(self):
        pass

    def memory_bytes(self):
        return {}


def test_a_stalling_engine_waits_now_and_then():
    waits = []
    engine = StallingEngine(Counting(), 0.3, 1.0, 0, waits.append)
    assert all(engine.infer(i) == (i,) for i in range(1000))
    assert set(waits) == {0.3}
    assert 70 < len(waits) < 130  # one in 10 s, of a decision a second
