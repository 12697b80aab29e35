import argparse
import hashlib
import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgehar.cli import data
from edgehar.datasets import DATASETS, load_dataset
from edgehar.errors import DataError, EdgeharError, MissingExtraError, UsageError
from edgehar.recording import IMU_CHANNELS, Recording

PNG = b"\x89PNG\r\n\x1a\n"


def _command(*words):
    parser = argparse.ArgumentParser()
    data.add_parser(parser.add_subparsers())
    return data.run(parser.parse_args(["data", *map(str, words)]))


def _recording(name, subject, seconds, labels=None):
    samples = np.random.default_rng(int(subject)).normal(size=(50 * seconds, 6)).astype(np.float32)
    return Recording(name, subject, 50.0, IMU_CHANNELS, samples, labels, ("walking", "sitting"))


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A data set of three recordings that is downloaded, in place of the table."""
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path / "cache"))
    halves = np.repeat(np.array([-1, 0, 1, 0], np.int16), [50, 100, 49, 1])
    recordings = (_recording("b", "10", 2), _recording("a", "2", 4, halves), _recording("c", "2", 6))
    used = []

    def use(path):
        used.append(path)
        if path.exists() and path.read_bytes() == b"damaged":
            raise DataError("it is damaged")
        return recordings

    dataset = replace(
        DATASETS["uci_har"],
        **{"name": "tiny", "title": "Tiny", "label_names": ("walking", "sitting"), "task_labels": ("walking",)},
        **{"load": lambda: recordings, "use": use, "find_source": lambda: None, "ready": lambda: False},
        **{"url": "https://data.example/tiny.zip", "download_name": "tiny.zip"},
    )
    monkeypatch.setitem(DATASETS, "tiny", dataset)
    return used


@pytest.fixture
def served(monkeypatch):
    """What the network would serve."""
    module = importlib.import_module("edgehar.datasets.download")

    def download(url, path, progress, sha256=""):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(served_body[0])
        progress(5, 10)
        progress(10, 0)
        return hashlib.sha256(served_body[0]).hexdigest()

    served_body = [b"whole"]
    monkeypatch.setattr(module, "download", download)
    return served_body


def test_list_names_every_data_set(capsys, tmp_path, tiny):
    assert _command("list", "--json", tmp_path / "list.json") == 0
    shown = capsys.readouterr().out
    rows = json.loads((tmp_path / "list.json").read_text())
    assert [row["name"] for row in rows] == list(DATASETS)
    assert all(row["name"] in shown for row in rows)
    assert {row["name"]: row["ready"] for row in rows}["tiny"] is False
    assert rows[0]["ready"] is True
    assert rows[0]["label_names"][11] == "lie_to_stand"
    assert rows[0]["channels"][3] == {"name": "gyro_x", "unit": "rad/s", "frame": "device"}


def test_inspect_tells_people_minutes_and_shares(capsys, tmp_path, tiny):
    assert _command("inspect", "tiny", "--json", tmp_path / "i.json") == 0
    shown = capsys.readouterr().out
    assert "together" in shown
    assert "0 walking · 1 sitting · – unlabelled" in shown
    found = json.loads((tmp_path / "i.json").read_text())
    assert (found["schema_version"], found["name"]) == (1, "tiny")
    b, a, _ = found["recordings"]
    assert (a["name"], a["subject"], a["samples"], a["minutes"]) == ("a", "2", 200, 0.067)
    assert (a["unlabelled"], a["share"]) == (0.25, {"walking": 0.505, "sitting": 0.245})
    assert (b["unlabelled"], b["share"]) == (1.0, {"walking": 0.0, "sitting": 0.0})


def test_inspect_hapt_fits_80_columns_uncut(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    assert _command("inspect", "hapt") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "…" not in "".join(lines)
    row = next(line for line in lines if line.startswith("user01_exp01")).split()
    assert row[:4] == ["user01_exp01", "1", "6.9", "20598"]
    total = next(line for line in lines if line.startswith("together")).split()
    assert total[1:6] == ["30", "374.3", "1122772", "11", "10"]


def test_many_recordings_are_shown_a_row_a_person(capsys, tiny, monkeypatch):
    monkeypatch.setattr(data, "ROW_LIMIT", 2)
    _command("inspect", "tiny")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines if line[:1] == ["person"] and len(line) > 4][1:] == [
        ["person", "2"],
        ["person", "10"],
    ]


def test_inspect_one_recording(capsys, tmp_path, tiny):
    _command("inspect", "tiny", "--recording", "b", "--json", tmp_path / "i.json")
    assert [r["name"] for r in json.loads((tmp_path / "i.json").read_text())["recordings"]] == ["b"]
    assert "together" not in capsys.readouterr().out


def test_shares_add_up_to_one():
    shares = data.label_shares(load_dataset("hapt"))
    assert shares.shape == (13,)
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert shares[0] == pytest.approx(307_158 / 1_122_772, abs=1e-12)


@pytest.mark.parametrize(
    ("share", "text"), [(0, ""), (1e-6, "<1"), (0.0099, "<1"), (0.01, "1"), (0.996, "100"), (1, "100")]
)
def test_percent_never_rounds_something_to_nothing(share, text):
    assert data._percent(share) == text


def test_plot_is_of_the_recording_with_most_labels(capsys, tmp_path, tiny):
    _command("inspect", "tiny", "--out", tmp_path / "new" / "p.png")
    assert "a drawn in" in capsys.readouterr().out
    assert (tmp_path / "new" / "p.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize(("name", "start"), [("p.svg", b"<?xml"), ("p.PDF", b"%PDF")])
def test_plot_in_other_formats(tmp_path, tiny, name, start):
    _command("inspect", "tiny", "--recording", "c", "--out", tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_plot_has_a_panel_a_sensor_and_a_span_a_stretch():
    from edgehar.datasets.plot import draw_recording, label_stretches

    labels = np.array([0] * 40 + [-1] * 10 + [1] * 50, np.int16)
    recording = _recording("r", "1", 2, labels)
    assert label_stretches(labels) == [(0, 0, 40), (1, 50, 100)]
    strip, acc, gyro = draw_recording(recording).axes
    assert [len(panel.lines) for panel in (strip, acc, gyro)] == [0, 3, 3]
    assert [len(panel.patches) for panel in (strip, acc, gyro)] == [2, 2, 2]
    assert "acceleration (g)" in acc.get_ylabel()
    assert "angular velocity (rad/s)" in gyro.get_ylabel()
    assert acc.get_xlim() == gyro.get_xlim() == (0, 2)
    assert [t.get_text() for t in strip.figure.legends[0].get_texts()] == ["walking", "sitting", "unlabelled"]


def test_long_recordings_are_drawn_over_minutes():
    from edgehar.datasets.plot import draw_recording

    recording = _recording("r", "1", 1201)
    assert draw_recording(recording).axes[-1].get_xlabel() == "time (min)"


def test_fetch_hapt_decodes_and_counts(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path))
    assert _command("fetch", "hapt") == 0
    assert "61 recordings of 30 people, 1,122,772 samples, 6.2 h" in capsys.readouterr().out
    assert [p.suffix for p in tmp_path.iterdir()] == [".npz"]


def test_fetch_downloads_and_shows_the_sha256(capsys, tiny, tmp_path, served):
    _command("fetch", "tiny")
    assert tiny == [tmp_path / "cache" / "tiny.zip"]
    shown = capsys.readouterr().out
    assert hashlib.sha256(b"whole").hexdigest() in shown
    assert "3 recordings of 2 people" in shown


def test_fetch_drops_a_download_that_is_not_the_data(tiny, tmp_path, served):
    served[0] = b"damaged"
    with pytest.raises(DataError, match="it is damaged"):
        _command("fetch", "tiny")
    assert list((tmp_path / "cache").iterdir()) == []


def test_fetch_from_a_copy(tiny, tmp_path):
    copy = tmp_path / "copy.zip"
    copy.write_bytes(b"whole")
    _command("fetch", "tiny", "--from", copy, "--sha256", hashlib.sha256(b"whole").hexdigest())
    assert tiny == [copy]
    with pytest.raises(DataError, match="expected 00"):
        _command("fetch", "tiny", "--from", copy, "--sha256", "00")
    with pytest.raises(UsageError, match="is a folder"):
        _command("fetch", "tiny", "--from", tmp_path, "--sha256", "00")
    assert tiny == [copy]


@pytest.mark.parametrize("action", ["fetch", "inspect"])
def test_unknown_data_set(action):
    with pytest.raises(UsageError, match="did you mean 'hapt'"):
        _command(action, "hpt")


def test_unknown_recording_names_the_nearest(tiny):
    with pytest.raises(UsageError, match="there is no recording 'zz' among 3; they are called like b"):
        _command("inspect", "tiny", "--recording", "zz")


@pytest.mark.parametrize("name", ["p.bmp", "p"])
def test_unknown_plot_format(tiny, tmp_path, name):
    with pytest.raises(DataError, match=r"use \.png, \.svg or \.pdf"):
        _command("inspect", "tiny", "--out", tmp_path / name)


def test_output_that_cannot_be_written(tiny, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EdgeharError, match=r"cannot be written .*choose another place"):
        _command("list", "--json", tmp_path / "file" / "x.json")


@pytest.mark.parametrize(("module", "extra"), [("rich.console", "cli"), ("edgehar.datasets.plot", "data")])
def test_missing_extras_are_named(tiny, tmp_path, monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'edgehar\[{extra}\]'"):
        _command("inspect", "tiny", "--out", tmp_path / "p.png")


def test_brackets_in_a_path_are_shown_as_they_are(capsys, tiny, tmp_path):
    _command("inspect", "tiny", "--out", tmp_path / "[red]p.png")
    assert "[red]p.png" in capsys.readouterr().out


def test_an_action_is_needed(capsys):
    with pytest.raises(SystemExit, match="2"):
        _command()
    assert "list | fetch NAME | inspect NAME" in capsys.readouterr().err


def test_rich_stays_in_the_command():
    folder = Path(data.__file__).parent.parent / "datasets"
    assert not [p.name for p in folder.glob("*.py") if "import rich" in p.read_text() or "from rich" in p.read_text()]
