"""A data set that is imported again under its name is another: nothing that began with the old one goes on with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from table_files import csv_text, plain_columns, walk

from edgehar.cli import main

SMALL = ("--set=epochs=1", "--set=model_options={stem_channels = 8, blocks = [[16, 9, 2]]}")


def import_walks(folder: Path, seed: int) -> None:
    for person in range(5):
        (folder / f"user{person}.csv").write_text(csv_text(plain_columns(walk(seed=seed + person))))
    assert main(["data", "import", str(folder), "--name", "walks"]) == 0


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, an unfinished one and a bundle of recordings that the data set no longer has."""
    folder = tmp_path_factory.mktemp("again")
    (folder / "walks").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEHAR_DATASETS", str(folder / "datasets"))
        import_walks(folder / "walks", 0)
        assert main(["train", "--dataset", "walks", *SMALL, "--out", str(folder / "run")]) == 0
        assert main(["export", str(folder / "run"), "--out", str(folder / "old.edgehar")]) == 0
        shutil.copytree(folder / "run", folder / "unfinished")
        (folder / "unfinished" / "run.json").unlink()
        import_walks(folder / "walks", 100)
    return folder


@pytest.fixture(autouse=True)
def own_folder(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEHAR_DATASETS", str(old / "datasets"))


@pytest.mark.parametrize(
    ("command", "run"),
    [
        ("train --resume {}/unfinished", "unfinished"),
        ("export {}/run --out {}/new.edgehar", "run"),
        ("run --out {}", "run"),
        ("train --qat {}/run --out {}/qat", "run"),
    ],
)
def test_a_run_goes_on_with_no_other_recordings(
    old: Path, command: str, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.replace("{}", str(old)).split()) == 1
    assert f"{run}: was trained on other recordings than its data set has now" in capsys.readouterr().err
    assert not (old / "new.edgehar").exists()


def test_a_bundle_is_not_compared_on_other_recordings(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(old / "old.edgehar")]) == 0
    assert "golden stream, because data set 'walks' has other recordings here" in " ".join(
        capsys.readouterr().out.split()
    )


def test_folds_of_other_recordings_are_not_added_up(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["crossval", "--dataset", "walks", *SMALL, "--official", "--seeds", "0", "--out", str(old / "folds")]
    assert main(command) == 0
    import_walks(old / "walks", 200)
    assert main(command) == 1
    assert "was trained on other recordings" in capsys.readouterr().err


def test_a_stage_is_not_fitted_to_other_recordings(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decide", str(old / "old.edgehar"), "--decision", "ema", "--out", str(old / "new.edgehar")]) == 1
    assert "has other recordings here" in capsys.readouterr().err


def test_the_same_files_again_are_the_same(old: Path, tmp_path: Path) -> None:
    import_walks(old / "walks", 0)
    assert main(["train", "--resume", str(old / "unfinished")]) == 0
    weights = [(old / run / "weights.safetensors").read_bytes() for run in ("run", "unfinished")]
    assert weights[0] == weights[1]
