import os
from pathlib import Path

import numpy as np
import pytest

from edgehar.datasets import cache
from edgehar.recording import IMU_CHANNELS


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def packed():
    rng = np.random.default_rng(0)
    return cache.pack(
        (f"r{i}", str(i), rng.normal(size=(n, 6)).astype(np.float32), np.full(n, i - 1, np.int16))
        for i, n in enumerate((3, 1, 5))
    )


def _same(a, b):
    fields = cache.Packed.__dataclass_fields__
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in fields)


def test_round_trip(packed, folder):
    assert cache.read_cache("set", "key") is None
    assert cache.store_cache("set", "key", packed)
    assert _same(cache.read_cache("set", "key"), packed)
    assert cache.read_cache("set", "other") is None
    assert [p.name for p in folder.iterdir()] == [f"set-key-v{cache.FORMAT_VERSION}.npz"]


def test_recordings_are_the_parts(packed):
    recordings = packed.recordings(IMU_CHANNELS, 50.0, ("a", "b"), "source", "licence")
    assert [(r.name, r.subject, len(r.samples)) for r in recordings] == [("r0", "0", 3), ("r1", "1", 1), ("r2", "2", 5)]
    assert np.array_equal(np.concatenate([r.samples for r in recordings]), packed.samples)
    assert recordings[2].labels.tolist() == [1] * 5


def test_any_changed_byte_gives_the_same_data_or_nothing(packed):
    cache.store_cache("set", "key", packed)
    path = cache.cache_path("set", "key")
    whole = path.read_bytes()
    refused = 0
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0xFF
        path.write_bytes(changed)
        found = cache.read_cache("set", "key")
        assert found is None or _same(found, packed), f"byte {position}"
        refused += found is None
    assert refused > len(whole) // 2


@pytest.mark.parametrize("keep", [0, 1, 100, 1500, -1])
def test_truncated_file_is_nothing(packed, keep):
    cache.store_cache("set", "key", packed)
    path = cache.cache_path("set", "key")
    path.write_bytes(path.read_bytes()[:keep])
    assert cache.read_cache("set", "key") is None


def test_pickled_arrays_are_never_read(packed):
    path = cache.cache_path("set", "key")
    path.parent.mkdir()
    fields = {f: getattr(packed, f) for f in cache.Packed.__dataclass_fields__}
    np.savez(path, **(fields | {"names": packed.names.astype(object)}))
    assert cache.read_cache("set", "key") is None


def test_arrays_that_do_not_belong_together_are_nothing(packed):
    path = cache.cache_path("set", "key")
    path.parent.mkdir()
    fields = {f: getattr(packed, f) for f in cache.Packed.__dataclass_fields__}
    np.savez(path, **(fields | {"lengths": packed.lengths + 1}))
    assert cache.read_cache("set", "key") is None


def test_where_the_folder_is(monkeypatch, tmp_path):
    assert cache.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("EDGEHAR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "xdg" / "edgehar"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "edgehar"


def test_no_home_means_no_cache(monkeypatch, packed):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("EDGEHAR_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert not cache.store_cache("set", "key", packed)
    assert cache.read_cache("set", "key") is None


def test_full_disk_means_no_cache(monkeypatch, packed, folder):
    def full(_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    assert not cache.store_cache("set", "key", packed)
    assert list(folder.iterdir()) == []
