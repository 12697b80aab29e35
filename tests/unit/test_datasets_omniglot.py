"""The Omniglot loader on a made-up file in the layout of the real one."""

import hashlib

import numpy as np
import pytest

from edgehar.datasets import omniglot
from edgehar.errors import DataError


def made(**changed):
    rng = np.random.default_rng(0)
    arrays = {
        "images": rng.integers(0, 256, (12, 28, 28)).astype(np.uint8),
        "character": np.repeat(np.arange(6), 2).astype(np.int16),
        "drawer": np.tile([1, 2], 6).astype(np.uint8),
        "char_alphabet": np.array(["B", "B", "A", "A", "C", "C"]),
        "char_evaluation": np.array([False, False, True, True, False, False]),
    }
    return {name: value for name, value in (arrays | changed).items() if value is not None}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEHAR_DATA", str(tmp_path))
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path / "cache"))
    return tmp_path


def store(folder, monkeypatch, **changed):
    np.savez(folder / omniglot.FILE_NAME, **made(**changed))
    digest = hashlib.sha256((folder / omniglot.FILE_NAME).read_bytes()).hexdigest()
    monkeypatch.setattr(omniglot, "known_sha256", lambda name: digest)


def test_whole_alphabets_are_held_out(folder, monkeypatch):
    store(folder, monkeypatch)
    background, held_out = omniglot.load_omniglot()
    assert set(background.character) == {0, 1, 4, 5}
    assert set(held_out.character) == {2, 3}
    assert not set(background.alphabet) & set(held_out.alphabet)
    assert background.images.shape == (8, 28, 28)
    assert background.images.dtype == np.float32
    assert np.array_equal(held_out.images, made()["images"][4:8] / np.float32(255))
    assert held_out.drawer.tolist() == [1, 2, 1, 2]


def test_missing_file_says_where_it_belongs(folder):
    with pytest.raises(DataError, match=r"'omniglot' is not in .*set EDGEHAR_DATA"):
        omniglot.load_omniglot()


def test_another_file_is_refused(folder):
    np.savez(folder / omniglot.FILE_NAME, **made())
    with pytest.raises(DataError, match="has SHA-256"):
        omniglot.load_omniglot()


@pytest.mark.parametrize("changed", [{"drawer": None}, {"character": np.full(12, 99, np.int16)}])
def test_another_layout_is_refused(folder, monkeypatch, changed):
    store(folder, monkeypatch, **changed)
    with pytest.raises(DataError, match="not laid out as"):
        omniglot.load_omniglot()
