import numpy as np
import pytest

from edgehar.datasets import DATASETS, find_dataset, load_dataset
from edgehar.datasets.checksums import check_sha256, known_sha256
from edgehar.errors import DataError, UsageError


@pytest.mark.parametrize("name", DATASETS)
def test_every_line_is_complete(name):
    dataset = DATASETS[name]
    assert dataset.name == name
    assert dataset.title and dataset.licence and dataset.citation
    assert set(dataset.task_labels) <= set(dataset.label_names)
    assert len(set(dataset.label_names)) == len(dataset.label_names)
    assert len(set(dataset.test_subjects)) == len(dataset.test_subjects) >= 5
    assert bool(dataset.url) == bool(dataset.download_name)
    assert dataset.url.startswith("https://") or not dataset.url


@pytest.mark.parametrize(
    ("name", "hint"),
    [("uci-har", "did you mean 'uci_har'"), ("HAPT", "did you mean 'hapt'"), ("zzz", "known ones: hapt")],
)
def test_unknown_name_lists_the_known_ones(name, hint):
    with pytest.raises(UsageError, match=hint):
        load_dataset(name)


def test_recordings_match_their_line(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path))
    dataset = find_dataset("hapt")
    recordings = load_dataset("hapt")
    assert set(dataset.test_subjects) < {r.subject for r in recordings}
    for r in recordings:
        assert (r.channels, r.rate_hz, r.label_names) == (dataset.channels, dataset.rate_hz, dataset.label_names)
        assert (r.licence, r.source) == (dataset.licence, dataset.citation)
        assert np.abs(r.samples[:, :3]).max() <= 2.1  # the phone's range is 2 g


def test_checksums(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    check_sha256(path, "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", "none")
    with pytest.raises(DataError, match=r"has SHA-256 ba7816bf.*expected 00; do this"):
        check_sha256(path, "00", "do this")
    with pytest.raises(DataError, match=r"cannot be read .*do this"):
        check_sha256(tmp_path / "b", "00", "do this")
    with pytest.raises(KeyError):
        known_sha256("nothing.zip")
