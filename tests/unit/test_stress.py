"""The stress matrix: its rule, its folder of cells, its command; and what kill -9 at any moment leaves of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from device_fixtures import LABELS, altered, make_tiny_bundle, synthetic_recording
from signalled import run_signalled

import device_sim
from device_sim.faults import FAULTS
from device_sim.stress import Cell, CellStore, key_of, plan_cells, run_cell, stress_summary
from edgehar import cli
from edgehar.cli.stress import severities_of
from edgehar.errors import UsageError

SCHEMA = json.loads((Path(device_sim.__file__).parent / "schemas" / "stress.schema.json").read_text())
RECORDINGS = tuple(synthetic_recording(900, i, f"rec{i}", f"person{i}") for i in range(2))
FIELD = '[faults]\ndrop = [0.1, 0.5]\nturn = ["90deg", 180]\nreboot = 1\n'


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("stress"), held_out=RECORDINGS)


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    """A recording as the command reads it."""
    recording = synthetic_recording(700, 3)
    path = tmp_path_factory.mktemp("recordings") / "walk.csv"
    names = ("", *LABELS)
    rows = [
        ",".join([*(f"{v:.6f}" for v in sample), names[label + 1]])
        for sample, label in zip(recording.samples.tolist(), recording.labels.tolist(), strict=True)
    ]
    path.write_text("\n".join(["acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z,label", *rows]))
    return path


def figures(right, windows=100, **other):
    scores = {"accuracy": right / max(windows, 1), "macro_f1": 0.5, "event_f1": 0.2, "event_f1_where_labelled": None}
    return {"windows": windows, "right": right, **scores, "device": {"late": 0}, **other}


def test_the_rule_of_breaking(bundle):
    def summed(rows):
        cells = {Cell("none", 0.0, "litert", 0): figures(90, device=None)}
        for severity, seed, found in rows:
            cells[Cell("drop", severity, "litert", seed)] = found
        summary = stress_summary(bundle, RECORDINGS, key_of(bundle, RECORDINGS), cells)
        jsonschema.validate(summary, SCHEMA)
        return summary["faults"][0]

    row = summed([(0.1, 0, figures(90)), (0.1, 1, figures(80)), (0.2, 0, figures(80)), (0.2, 1, figures(86))])
    assert row["breaks_at"] == 0.2  # 85 of 90 in the mean is 5 points lower, 83 more than that
    assert row["severities"][0]["right"] == {"mean": pytest.approx(0.85), "low": 0.8, "high": 0.9}
    assert row["severities"][0]["seeds"] == [0, 1]
    assert row["severities"][0]["event_f1_where_labelled"] is None
    assert summed([(0.1, 0, figures(86))])["breaks_at"] is None
    # windows that never came about count as wrong, those that were too many do not help
    silent = summed([(0.1, 0, figures(45, windows=50))])
    assert (silent["breaks_at"], silent["severities"][0]["accuracy"]["mean"]) == (0.1, 0.9)
    assert silent["severities"][0]["answered"]["mean"] == 0.5
    assert summed([(0.1, 0, figures(99, windows=110))])["severities"][0]["right"]["mean"] == 0.9
    assert summed([(0.1, 0, figures(0, windows=0, accuracy=None, macro_f1=None))])["breaks_at"] == 0.1
    with pytest.raises(ValueError, match="no run without a fault"):
        stress_summary(bundle, RECORDINGS, key_of(bundle, RECORDINGS), {Cell("drop", 0.1, "litert", 0): figures(1)})


def test_every_fault_makes_cells_that_fit_the_schema(bundle):
    cells = plan_cells({name: entry.severities[-1:] for name, entry in FAULTS.items()}, ["litert_ref"], [0])
    assert len(cells) == len(set(cells)) == 1 + len(FAULTS)
    done = {cell: run_cell(bundle, RECORDINGS, cell) for cell in cells}
    summary = stress_summary(bundle, RECORDINGS, key_of(bundle, RECORDINGS), done)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(summary, SCHEMA)
    assert [row["fault"] for row in summary["faults"]] == list(FAULTS)
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == set(summary)


def test_a_cell_is_found_again_only_for_what_it_was_made_of(bundle, tmp_path):
    cell = Cell("drop", 0.1, "litert_ref", 0)
    key = key_of(bundle, RECORDINGS)
    store = CellStore(tmp_path / "cells", key, bundle)
    assert store.read(cell) is None
    store.write(cell, figures(7))
    assert store.read(cell) == figures(7)
    changes = ({"seed": 1}, {"severity": 0.2}, {"fault": "nan"}, {"engine": "tflm"})
    others = [replace(cell, **change) for change in changes]
    assert [store.read(other) for other in others] == [None] * 4
    shorter = tuple(r.cut(0, 800) for r in RECORDINGS)
    renamed = (RECORDINGS[0], replace(RECORDINGS[1], name="x"))
    relabelled = (RECORDINGS[0], replace(RECORDINGS[1], labels=np.zeros(900, np.int16)))
    for strangers in (shorter, renamed, relabelled, RECORDINGS[::-1]):
        assert CellStore(tmp_path / "cells", key_of(bundle, strangers), bundle).read(cell) is None
    another = altered(bundle, tmp_path, name="another")
    assert CellStore(tmp_path / "cells", key_of(another, RECORDINGS), another).read(cell) is None
    (file,) = (tmp_path / "cells").iterdir()
    whole = file.read_text()
    for damaged in (whole[:-20], "", "[]", whole.replace('"windows"', '"window"'), whole.replace("0.1", "0.2")):
        file.write_text(damaged)
        assert store.read(cell) is None
    assert list(store.finished([cell])) == []


def test_severities_by_name_or_file(tmp_path):
    assert severities_of("") == {name: entry.severities for name, entry in FAULTS.items()}
    assert severities_of("nan,drop") == {"nan": FAULTS["nan"].severities, "drop": FAULTS["drop"].severities}
    path = tmp_path / "field.toml"
    path.write_text(FIELD)
    assert severities_of(str(path)) == {"turn": (90.0, 180.0), "drop": (0.1, 0.5), "reboot": (1.0,)}
    with pytest.raises(UsageError, match="did you mean 'drop'"):
        severities_of("dorp")


WRONG = [
    (["--faults", "dorp"], "did you mean 'drop'"),
    (["--engines", "abacus"], "unknown engine 'abacus'"),
    (["--seeds", "one"], "--seeds 'one'"),
    (["--figure", "x.pdf"], "ends in .png or .svg"),
]


def test_wrong_use(bundle, csv, tmp_path, capsys):
    for options, message in WRONG:
        command = ["stress", str(bundle.path), "--recordings", str(csv), "--out", str(tmp_path), *options]
        assert cli.main(command) == 2
        assert message in capsys.readouterr().err


def test_the_command_goes_on_and_draws(bundle, csv, tmp_path, capsys):
    out = tmp_path / "matrix"
    command = ["stress", str(bundle.path), "--engines", "litert_ref", "--seeds", "0", "--faults", "drop,turn"]
    command += ["--recordings", str(csv), "--out", str(out)]
    assert cli.main([*command, "--figure", str(tmp_path / "x.png")]) == 0
    first = (out / "stress.json").read_text()
    assert "13 runs of 1 file" in capsys.readouterr().out
    for file in list((out / "cells").iterdir())[:3]:
        file.unlink()
    assert cli.main([*command, "--figure", str(tmp_path / "x.svg")]) == 0
    assert "13 runs of 1 file, 10 of them finished before" in capsys.readouterr().out
    assert (out / "stress.json").read_text() == first
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "x.svg").read_text()


def test_kill_9_at_any_moment_loses_no_cell_and_counts_none_twice(bundle, csv, tmp_path):
    """Killed when so many cells are there, three times over; then finished, and held against a run in one go."""
    field = tmp_path / "field.toml"
    field.write_text(FIELD)

    def command(out):
        options = ["--engines", "litert_ref", "--seeds", "0,1,2", "--faults", str(field), "--recordings", str(csv)]
        return ["stress", str(bundle.path), *options, "--out", str(tmp_path / out)]

    cells = tmp_path / "killed" / "cells"
    for more in (1, 4, 6):
        done = run_signalled(signal.SIGKILL, r"os\.rename .*/cells/", more + 1, *command("killed"))
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not (tmp_path / "killed" / "stress.json").exists()
    before = {path.name: path.read_bytes() for path in cells.glob("[!.]*.json")}
    assert len(before) == 11
    for out in ("killed", "whole"):
        subprocess.run([sys.executable, "-m", "edgehar", *command(out)], check=True, stdout=subprocess.DEVNULL)
    found, expected = ((tmp_path / out / "stress.json").read_text() for out in ("killed", "whole"))
    assert found == expected
    assert json.loads(found)["cells"] == 16
    assert {path.name: path.read_bytes() for path in cells.glob("[!.]*.json") if path.name in before} == before
