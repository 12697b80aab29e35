"""The tutorial, as it stands: its script and its commands one after the other, and what it says comes of them."""

from __future__ import annotations

import json
import runpy
import shlex
from pathlib import Path

import pytest
from doc_pages import ROOT, commands, fences, run_command

TEXT = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
# what the last section names beyond the report: other tests run it on tiny bundles
NOT_RUN = ("pip install", "edgehar export", "edgehar profile", "edgehar stress")


def test_from_a_csv_to_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEHAR_DATASETS", str(tmp_path / "datasets"))
    for _, title, body in fences(TEXT):
        Path(title).write_text(body, "utf-8")
    said = {}
    for command in commands(TEXT):
        if command.startswith(NOT_RUN):
            continue
        if command == "python make_walks.py":
            runpy.run_path("make_walks.py")
            continue
        assert run_command(command) == 0, command
        said[shlex.split(command)[1]] = capsys.readouterr().out
    quoted = "10 recordings of 10 people, 10.0 min at 50 Hz: sitting, upstairs, walking"
    assert quoted in TEXT
    assert quoted in said["data"]
    assert "no problems found" in said["data"]
    assert {"run", "model.edgehar", "summary.json", "report.html"} <= {path.name for path in Path("walks").iterdir()}
    summary = json.loads(Path("walks/summary.json").read_text())
    assert len(summary["subjects"]) == 2
    assert summary["accuracy"] > 0.9
    announced = [line.split()[-1] for line in said["live"].splitlines() if line.split()[-1:] and " s " in line]
    assert announced == ["sitting", "walking", "upstairs"] * 2
