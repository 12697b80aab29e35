"""Either the old file or the new one, whatever happens in between."""

import errno
import os
import sys
import time

import pytest

from edgehar import files
from edgehar.cli import main


def test_write_atomic_replaces(tmp_path):
    target = tmp_path / "deep" / "a.json"
    files.write_atomic(target, b"one")
    files.write_atomic(target, b"two")
    assert target.read_bytes() == b"two"
    assert [p.name for p in target.parent.iterdir()] == ["a.json"]


def test_full_disk_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    target = tmp_path / "a.json"
    files.write_atomic(target, b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomic(target, b"new")
    with pytest.raises(OSError, match="No space"), files.atomic_directory(tmp_path / "folder") as folder:
        (folder / "x").write_bytes(b"1")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert target.read_bytes() == b"old"


def test_interrupted_directory_leaves_the_old_one(tmp_path):
    target = tmp_path / "bundle"
    with files.atomic_directory(target) as folder:
        (folder / "x").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), files.atomic_directory(target) as folder:
        (folder / "x").write_bytes(b"new")
        raise KeyboardInterrupt
    assert (target / "x").read_bytes() == b"old"
    with files.atomic_directory(target) as folder:
        (folder / "y").write_bytes(b"new")
    assert [p.name for p in target.iterdir()] == ["y"]
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def _write_folder(target):
    with files.atomic_directory(target) as folder:
        (folder / "x").write_bytes(b"new")


def _interrupt_at(call, write, target):
    """Raise KeyboardInterrupt where the C function ``call`` (from 0) of ``write`` returns; False if there are fewer."""
    calls = 0

    def profile(_frame, event, _argument):
        nonlocal calls
        if event == "c_return":
            calls += 1
            if calls == call + 1:
                sys.setprofile(None)
                raise KeyboardInterrupt

    try:
        sys.setprofile(profile)
        write(target)
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of a file that was open
@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize("folder", [False, True])
def test_ctrl_c_in_any_system_call_leaves_no_litter(tmp_path, monkeypatch, folder, can_exchange):
    """Python raises KeyboardInterrupt where a call returns: of mkdir, say, before its result has a name."""
    exchanged = files._exchanged
    monkeypatch.setattr(files, "_exchanged", lambda one, other: can_exchange and exchanged(one, other))
    target = tmp_path / "bundle"
    file, write = (target / "x", _write_folder) if folder else (target, lambda path: files.write_atomic(path, b"new"))
    found = set()
    for call in range(1000):
        write(target)
        file.write_bytes(b"old")
        if not _interrupt_at(call, write, target):
            break
        found.add(file.read_bytes())
        assert list(tmp_path.iterdir()) == [target]
    assert found == {b"old", b"new"}
    assert file.read_bytes() == b"new"


@pytest.mark.parametrize("can_exchange", [True, False])
def test_directory_in_the_place_of_an_older_one(tmp_path, monkeypatch, can_exchange):
    exchanged = files._exchanged
    monkeypatch.setattr(files, "_exchanged", lambda one, other: can_exchange and exchanged(one, other))
    target = tmp_path / "bundle"
    for name in ("x", "y"):
        with files.atomic_directory(target) as folder:
            (folder / name).write_text(name)
    assert [p.name for p in target.iterdir()] == ["y"]
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_this_system_exchanges_two_folders(tmp_path):
    """Where it cannot, a process killed between two renames leaves the old folder under another name."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert files._exchanged(tmp_path / "a", tmp_path / "b")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]
    with pytest.raises(FileNotFoundError, match="No such file"):
        files._exchanged(tmp_path / "a", tmp_path / "c")


def test_parts_that_killed_processes_left_go_after_an_hour(tmp_path):
    old, young = tmp_path / f".a.json.abcd_123{files.PART}", tmp_path / f".a.json.abcd_124{files.PART}"
    folder, not_ours = tmp_path / f".walks.abcd_123{files.PART}", tmp_path / ".a.json.settings"
    folder.mkdir()
    for file in (old, young, not_ours, folder / "recordings.npz"):
        file.touch()
    for path in (old, folder, not_ours):
        os.utime(path, (time.time() - 2 * files.STALE_S,) * 2)
    files.write_atomic(tmp_path / "b.json", b"")
    assert {p.name for p in tmp_path.iterdir()} == {young.name, not_ours.name, "b.json"}


def test_failed_rename_puts_the_old_directory_back(tmp_path, monkeypatch):
    target = tmp_path / "bundle"
    with files.atomic_directory(target) as folder:
        (folder / "x").write_bytes(b"old")
    real = files.Path.rename
    monkeypatch.setattr(files, "_exchanged", lambda *_: False)

    def rename(self, other):
        if self.name.startswith(".bundle.") and "old" not in self.name and other == target:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, other)

    monkeypatch.setattr(files.Path, "rename", rename)
    with pytest.raises(OSError, match="Input/output"), files.atomic_directory(target) as folder:
        (folder / "x").write_bytes(b"new")
    assert (target / "x").read_bytes() == b"old"


def test_an_old_directory_that_cannot_go_back_is_kept(tmp_path, monkeypatch):
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "x").write_bytes(b"old")
    real = files.Path.rename
    monkeypatch.setattr(files, "_exchanged", lambda *_: False)

    def rename(self, other):
        if other == target:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, other)

    monkeypatch.setattr(files.Path, "rename", rename)
    with pytest.raises(OSError, match="Input/output"), files.atomic_directory(target):
        pass
    assert [path.read_bytes() for path in tmp_path.glob(".bundle.old.*/bundle/x")] == [b"old"]


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", ["simulate zoo:ds_cnn --json", "pack zoo:ds_cnn --release 1 --out", "live zoo:ds_cnn --json"]
)
def test_a_folder_is_no_file_to_write_and_that_is_said_before_any_work(tmp_path, capsys, command):
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), str(tmp_path)])
    assert stopped.value.code == 2
    assert "is a folder; give the name of a file" in capsys.readouterr().err
