"""``--faults`` on both command lines: the summary, the terminal, the firmware beside it, and mistakes."""

from __future__ import annotations

import json

import jsonschema
import pytest
from device_fixtures import make_tiny_bundle
from test_device_simulate import SCHEMA

from device_sim import __main__ as device_main
from device_sim.report.verdict import cards, headline
from edgehar import cli

SPEC = "rotation:20,nan:0.02,drop:0.1,gap:2,reboot:1"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("commands"))


def test_simulate_says_what_the_device_did(bundle, tmp_path, capsys):
    rows = ["acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z", *(f"{i / 100},0,1,0,{i % 7},0" for i in range(4000))]
    csv, summary = tmp_path / "walk.csv", tmp_path / "summary.json"
    csv.write_text("\n".join(rows))
    command = ["simulate", str(bundle.path), "--recordings", str(csv), "--json", str(summary), "--seed", "3"]
    assert cli.main([*command, "--faults", SPEC]) == 0
    found = json.loads(summary.read_text())
    jsonschema.validate(found, SCHEMA)
    faults = found["faults"]
    assert faults["spec"] == "rotation:20deg,nan:0.02,drop:0.1,gap:2s,reboot:1s"
    assert faults["seed"] == 3
    assert set(faults["touched"]) == {"rotation", "nan", "drop", "gap", "reboot"}
    assert min(faults["touched"].values()) > 0
    assert faults["device"]["breaks"] >= 2
    assert faults["device"]["reboots"] >= 1
    assert faults["device"]["held"] == found["invalid_samples"] > 0
    assert "with faults rotation:20deg" in headline(found, 50.0)
    (card,) = [card for card in cards(found, 50.0) if card.title == "Faults"]
    assert f"began anew {faults['device']['breaks'] + faults['device']['reboots']} times" in card.context
    assert "with faults" in capsys.readouterr().out
    assert cli.main([*command, "--faults", "dorp:1"]) == 2
    assert "did you mean 'drop'" in capsys.readouterr().err
    assert cli.main([*command[:-1], "-1", "--faults", SPEC]) == 2


def test_firmware_and_device_stand_the_same_faults(bundle, capsys):
    assert device_main.main([str(bundle.path), "--engine", "litert_ref", "--faults", SPEC, "--firmware"]) == 0
    out = capsys.readouterr().out
    assert "faults      rotation:20deg" in out
    assert "every bit as in the simulated device" in out
    assert "golden" not in out
    assert device_main.main([str(bundle.path), "--faults", "drop:2"]) == 2
    assert device_main.main([str(bundle.path), "--faults", SPEC, "--seed", "x"]) == 2
