"""Either the old file or the new one, whatever happens in between."""

import errno

import pytest

from edgehar import files


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


def test_failed_rename_puts_the_old_directory_back(tmp_path, monkeypatch):
    target = tmp_path / "bundle"
    with files.atomic_directory(target) as folder:
        (folder / "x").write_bytes(b"old")
    real = files.Path.rename

    def rename(self, other):
        if self.name.startswith(".bundle.") and "old" not in self.name and other == target:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, other)

    monkeypatch.setattr(files.Path, "rename", rename)
    with pytest.raises(OSError, match="Input/output"), files.atomic_directory(target) as folder:
        (folder / "x").write_bytes(b"new")
    assert (target / "x").read_bytes() == b"old"


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []
