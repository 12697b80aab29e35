"""``edgehar profile`` and ``edgehar check``: tables, files, exit codes."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from device_fixtures import altered

from device_sim.emulator.boards import BOARDS, CR2032_MAH, CR2032_V, budget
from device_sim.emulator.cores import CORES
from device_sim.emulator.timing import TIMINGS
from edgehar.arrays import dump_npz
from edgehar.bundle import Bundle
from edgehar.cli import main
from edgehar.cli.check import LIMITS
from edgehar.cli.hops import network_instructions
from edgehar.cli.profile import short_name

SMALLEST = "zoo:ds_cnn_3k"


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile")
    code = main(["profile", SMALLEST, "--json", str(folder / "p.json"), "--out", str(folder / "p.png")])
    assert code == 0
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    return json.loads((folder / "p.json").read_text())


def validate_profile(profile):
    schema = json.loads(resources.files("device_sim").joinpath("schemas/profile.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(profile, schema)


def test_profile_json_fits_its_schema(summary):
    validate_profile(summary)
    manifest = Bundle.open(SMALLEST).manifest
    assert summary["bit_exact"] is True
    assert summary["macs"] == manifest.model["macs"]
    assert summary["model_sha256"] in {entry.sha256 for entry in manifest.files.values()}
    assert summary["hop_s"] == manifest.hop / manifest.rate_hz
    between = summary["cycles"] - sum(layer["cycles"] for layer in summary["layers"])
    assert 0 < between < 0.01 * summary["cycles"]


def test_time_and_energy_follow_from_cycles_and_board(summary):
    board = BOARDS["nucleo_l4r5zi"]
    assert summary["latency_ms"] == pytest.approx(1000 * summary["cycles"] / 120e6)
    power_mw = board.current.active_ma * board.current.supply_v
    assert summary["energy_uj"] == pytest.approx(summary["latency_ms"] * power_mw)
    assert summary["duty_cycle"] == pytest.approx(summary["latency_ms"] / 1000 / summary["hop_s"])
    joules = CR2032_MAH * 3.6 * CR2032_V
    seconds = joules / (summary["energy_uj"] / 1e6) * summary["hop_s"]
    assert summary["cr2032_days"] == pytest.approx(seconds / 86400)
    assert budget(board, 1000, None).cr2032_days is None


def test_stages_of_the_whole_firmware(summary):
    whole = summary["pipeline"]
    stages = {stage["name"]: stage for stage in whole["stages"]}
    assert set(stages) == {"front_end", "network", "decision", "other"}
    assert whole["bit_exact"] is True
    assert whole["decisions"] == summary["windows"]
    assert sum(stage["cycles"] for stage in stages.values()) == whole["cycles"]
    assert abs(stages["network"]["cycles"] / summary["cycles"] - 1) < 0.01
    samples = 64  # of a hop
    assert 100 * samples < stages["front_end"]["cycles"] < 20_000 * samples
    assert whole["push_ms"] < whole["deciding_push_ms"] < whole["latency_ms"]
    busy = whole["deciding_push_ms"] + (samples - 1) * whole["push_ms"]
    assert whole["latency_ms"] == pytest.approx(busy, rel=0.01)
    assert whole["flash_bytes"] > summary["flash_bytes"]


def test_a_file_costs_what_the_network_of_its_bundle_costs(summary, tmp_path, capsys):
    model = Bundle.open(SMALLEST).path / "model_i8.tflite"
    assert main(["profile", str(model), "--json", str(tmp_path / "p.json")]) == 0
    found = json.loads((tmp_path / "p.json").read_text())
    validate_profile(found)
    assert found["bit_exact"] is True
    assert (found["pipeline"], found["hop_s"], found["duty_cycle"]) == (None, None, None)
    assert [layer["op"] for layer in found["layers"]] == [layer["op"] for layer in summary["layers"]]
    assert abs(found["cycles"] / summary["cycles"] - 1) < 0.01  # other windows
    assert "the network on the slowest window" in " ".join(capsys.readouterr().out.split())


def test_a_network_with_an_embedding(tmp_path, capsys):
    assert main(["profile", "zoo:siamese", "--windows", "1", "--json", str(tmp_path / "p.json")]) == 0
    found = json.loads((tmp_path / "p.json").read_text())
    validate_profile(found)
    assert (found["pipeline"]["bit_exact"], found["bit_exact"]) == (True, True)
    capsys.readouterr()


def test_streaming_beside_whole_windows(tmp_path, capsys):
    words = ["profile", SMALLEST, "--windows", "3", "--streaming", "--json", str(tmp_path / "p.json")]
    assert main([*words, "--hops", "8"]) == 0
    found = json.loads((tmp_path / "p.json").read_text())
    validate_profile(found)
    (row,) = found["streaming"]
    assert row["hop"] == 8
    assert row["macs"] < 0.2 * row["window_macs"]
    assert row["window"]["bit_exact"] and row["streaming"]["bit_exact"]
    assert row["window"]["decisions"] == row["streaming"]["decisions"] == 3
    assert network_instructions(row["streaming"]) < 0.4 * network_instructions(row["window"])
    assert "looks at the whole window, and what follows" in " ".join(capsys.readouterr().out.split())
    assert main([*words, "--hops", "10"]) == 2
    assert "the nearest: 8 or 12" in capsys.readouterr().err
    assert main([*words, "--hops", "8,x"]) == 2
    assert "--hops 8,x: expected samples" in capsys.readouterr().err
    model = str(Bundle.open(SMALLEST).path / "model_i8.tflite")
    assert main(["profile", model, "--streaming"]) == 2
    assert "give the bundle" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Conv_4", "Conv_4"),
        ("__main__.C;;__main__.C/torch.nn.modules.conv.Conv1d_c2;", "Conv1d_c2"),
        ("__main__.C;1", "C"),
        ("args_0/turned", "turned"),
        (";;", ";;"),
        ("1", "1"),
        ("ends.", "ends."),
    ],
)
def test_names_of_layers_are_short(name, short):
    assert short_name(name) == short


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_is_complete(name):
    board = BOARDS[name]
    assert board.name == name
    assert 1 <= board.flash_factor < 2
    assert 40e6 < board.clock_hz < 500e6
    assert board.flash_bytes > board.ram_bytes > 0
    assert 0 < board.current.active_ma < 100
    assert len(board.current.source) > 20
    assert board.processor.label


def test_table_in_the_terminal(capsys):
    assert main(["profile", SMALLEST, "--board", "nrf52840_dk", "--windows", "1", "--optimize", "size"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for words in ("nRF52840 DK, Cortex-M4F at 64 MHz", "instructions exact", "not verified", "bit exact yes", "conv1d"):
        assert words in out


def test_other_outputs_than_the_golden_ones_fail(tmp_path, capsys):
    bundle = Bundle.open(SMALLEST)
    arrays = bundle.arrays("golden.npz")
    arrays["stream_outputs"] = arrays["stream_outputs"] ^ 1
    wrong = altered(bundle, tmp_path, {"golden.npz": dump_npz(**arrays)})
    assert main(["profile", str(wrong.path), "--windows", "1"]) == 1
    assert "bit exact NO" in " ".join(capsys.readouterr().out.split())
    assert main(["check", str(wrong.path), "--windows", "1", "--max-flash-kb", "100"]) == 1
    assert "does not give the bundle's golden outputs" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["profile", SMALLEST, "--board", "abacus"], 2, "no board 'abacus'; there are nucleo_l4r5zi, nrf52840_dk"),
        (["profile", SMALLEST, "--windows", "0"], 2, "--windows 0"),
        (["profile", SMALLEST, "--compiler", "tcc"], 2, "no compiler 'tcc'; there are zig, gcc"),
        (["profile", "zoo:nothing"], 2, "nothing"),
        (["profile", "nothing.tflite"], 1, "nothing.tflite: No such file"),
        (["check", SMALLEST], 2, "nothing to check; give at least one of --max-flash-kb"),
        (["check", SMALLEST, "--max-ram-kb", "-1"], 2, "--max-ram-kb -1.0: expected a limit of at least 0"),
        (["check", SMALLEST, "--max-ram-kb", "nan"], 2, "expected a limit of at least 0"),
    ],
)
def test_wrong_use(arguments, code, words, capsys):
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert error.startswith("edgehar: error: ")
    assert error.count("\n") == 1
    assert words in error


def limits(**allowed):
    return [part for option, limit in allowed.items() for part in (f"--{option.replace('_', '-')}", str(limit))]


def test_check_passes_below_the_limits(tmp_path, capsys):
    generous = dict(zip(LIMITS, (1000, 100, 100, 10000, 5), strict=True))
    assert main(["check", SMALLEST, *limits(**generous), "--json", str(tmp_path / "c.json")]) == 0
    assert capsys.readouterr().err == ""
    written = json.loads((tmp_path / "c.json").read_text())
    assert set(written["limits"]) == set(LIMITS)
    assert all(row["found"] < row["allowed"] and not row["over"] for row in written["limits"].values())


def test_check_names_what_is_over(capsys):
    mixed = {"max_flash_kb": 1, "max_ram_kb": 100, "max_latency_ms": 0.001, "max_energy_uj": 0.1}
    assert main(["check", SMALLEST, *limits(**mixed), "--windows", "1"]) == 1
    error = capsys.readouterr().err
    assert "over: flash " in error
    assert "KiB, allowed 1 KiB" in error
    assert "over: latency " in error
    assert "over: energy " in error
    assert "RAM" not in error


def test_check_of_accuracy_alone_needs_no_emulator(monkeypatch, capsys):
    monkeypatch.setattr("device_sim.emulator.profile_network", None)
    assert main(["check", SMALLEST, "--max-accuracy-drop", "100"]) == 0
    assert main(["check", SMALLEST, "--max-accuracy-drop", "0"]) in (0, 1)
    capsys.readouterr()


def test_check_of_a_bundle_without_accuracy(tmp_path, capsys):
    bundle = altered(Bundle.open(SMALLEST), tmp_path, provenance={"data": {}})
    assert main(["check", str(bundle.path), "--max-accuracy-drop", "1"]) == 1
    assert "it does not state both accuracies" in capsys.readouterr().err


def test_the_docs_list_every_board_and_core():
    page = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text("utf-8")
    for board in BOARDS.values():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{board.name}`")]
        assert board.processor.label in row
        for figure in (f"{board.clock_hz / 1e6:g}", f"{board.current.active_ma:g} × {board.current.supply_v:g}"):
            assert f"| {figure} |" in row
        assert ("not verified" in row) == (not board.current.verified)
    for name, core in CORES.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {core.label} ")]
        assert ("published:" in row) == TIMINGS[name].published
