"""python -m device_sim: what it prints, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from device_fixtures import altered, make_tiny_bundle, synthetic_recording

from device_sim import __main__ as command
from device_sim.clock import RealTimeClock
from device_sim.simulate import simulate

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("command"))


def write_csv(path, samples=200):
    recording = synthetic_recording(samples)
    header = ",".join(c.name for c in recording.channels)
    names = [*recording.label_names, ""]
    rows = [
        ",".join(f"{v:.6f}" for v in row) + f",{names[label]}"
        for row, label in zip(recording.samples, recording.labels, strict=True)
    ]
    path.write_text("\n".join([f"{header},label", *rows]))
    return path


def test_without_a_recording_it_replays_and_checks_the_golden_stream(bundle, tmp_path, capsys):
    assert command.main([str(bundle.path), "--engine", "tflm", "--json", str(tmp_path / "summary.json")]) == 0
    out = capsys.readouterr().out
    assert "golden      ok: 61 of 61 windows equal, largest difference 0 LSB (expected bit for bit)" in out
    assert "accuracy" in out
    assert "p99.9" in out
    assert json.loads((tmp_path / "summary.json").read_text())["engine"] == "tflm"


def test_the_firmware_beside_the_device(bundle, tmp_path, capsys):
    assert command.main([str(bundle.path), "--engine", "c_native", "--firmware"]) == 0
    out = capsys.readouterr().out
    assert "golden      ok: 61 of 61 windows equal" in out
    assert "firmware    ok: 61 decisions" in out
    har = bundle.read("firmware/har.c").replace(
        b"ctx->candidate_start = ctx->samples - 1;", b"ctx->candidate_start = 7;"
    )
    wrong = altered(bundle, tmp_path, {"firmware/har.c": har})
    assert command.main([str(wrong.path), "--firmware"]) == 1
    assert "firmware    FAILED: 61 decisions" in (out := capsys.readouterr().out)
    assert "events differ in the samples from 0 on" in out


def test_csv_recordings(bundle, tmp_path, capsys):
    paths = [str(write_csv(tmp_path / f"{name}.csv")) for name in ("ann", "bob")]
    assert command.main([str(bundle.path), *paths, "--seconds", "3", "--json", str(tmp_path / "s.json")]) == 0
    summary = json.loads((tmp_path / "s.json").read_text())
    assert (summary["subjects"], summary["samples"]) == (["ann", "bob"], 300)
    assert "golden" not in capsys.readouterr().out


def test_realtime_waits_for_every_sample(bundle, tmp_path):
    file = tmp_path / "s.json"
    assert command.main([str(bundle.path), "--realtime", "--seconds", "0.7", "--json", str(file)]) == 0
    summary = json.loads(file.read_text())
    assert summary["clock"] == "realtime"
    assert summary["wall_s"] >= 34 * 0.02
    assert summary["latency_us"]["response"]["count"] == 35


WRONG = {
    "no_bundle": (["nowhere.edgehar"], 2, "no such bundle"),
    "no_engine": (["BUNDLE", "--engine", "tpu"], 2, "no engine 'tpu'"),
    "option": (["BUNDLE", "--fast"], 2, "--fast"),
    "seconds": (["BUNDLE", "--seconds", "-1"], 2, "--seconds"),
    "no_csv": (["BUNDLE", "none.csv"], 1, "none.csv"),
    "nothing": ([], 2, "BUNDLE"),
    "json": (["BUNDLE", "--json", "/proc/none/s.json"], 1, "/proc"),
}


@pytest.mark.parametrize(("arguments", "code", "message"), WRONG.values(), ids=WRONG)
def test_errors_are_one_line(bundle, capsys, arguments, code, message):
    assert command.main([str(bundle.path) if a == "BUNDLE" else a for a in arguments]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("edgehar: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_ctrl_c_before_the_run_exits_130(bundle, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "simulate", interrupted)
    assert command.main([str(bundle.path)]) == 130
    assert capsys.readouterr().err == "edgehar: interrupted\n"


def test_ctrl_c_in_the_middle_prints_what_was_streamed(bundle, monkeypatch, capsys):
    sleeps = []

    def sleep(seconds):
        sleeps.append(seconds)
        if len(sleeps) == 20:
            raise KeyboardInterrupt

    def impatient(*arguments, **options):
        clock = RealTimeClock(bundle.manifest.rate_hz, lambda: round(1e9 * sum(sleeps)), sleep)
        return simulate(*arguments, clock=clock)

    monkeypatch.setattr(command, "simulate", impatient)
    assert command.main([str(bundle.path), "--realtime"]) == 130
    out = capsys.readouterr().out
    assert "20 samples" in out
    assert "interrupted: figures cover what was streamed until then" in out


def test_a_reader_that_leaves_gets_no_traceback(bundle):
    process = subprocess.Popen(
        [sys.executable, "-m", "device_sim", str(bundle.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), error) == (1, b"")
