import io
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from uci_har_fixtures import ROOT, archive_tables, cut_windows, zip_archive

from edgehar.datasets import archive, uci_har
from edgehar.errors import DataError
from edgehar.recording import UNLABELLED
from edgehar.signal.windows import sliding_windows


@pytest.fixture(autouse=True)
def no_other_data(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEHAR_DATA", raising=False)


@pytest.fixture
def official(monkeypatch):
    """Let the small archive count as the official one."""
    counts = uci_har.Counts((1, 2, 0, 1, 2, 0), (0, 0, 0, 0, 0, 2), (1, 3), (2,), 4)
    monkeypatch.setattr(uci_har, "OFFICIAL", counts)
    return counts


def _layouts(tmp_path):
    files = archive_tables()
    plain = zip_archive(tmp_path / "plain.zip", files)
    nested = tmp_path / "nested.zip"
    with zipfile.ZipFile(nested, "w") as z:
        z.writestr("UCI HAR Dataset.names", "about")
        z.writestr("UCI HAR Dataset.zip", plain.read_bytes())
    flat = zip_archive(tmp_path / "flat.zip", files, root="")
    folder = tmp_path / "unpacked" / "UCI HAR Dataset"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return plain, nested, flat, folder, folder.parent


def test_every_layout_gives_the_same_windows(tmp_path):
    first, *others = (uci_har.read_archive(path) for path in _layouts(tmp_path))
    assert first.x.shape == (8, 128, 6)
    assert first.x.dtype == np.float32
    assert np.array_equal(first.x[:3], cut_windows(13, 3))
    assert first.label.tolist() == [4, 4, 3, 0, 1, 1, 5, 5]
    assert first.subject.tolist() == [1, 1, 1, 3, 1, 1, 2, 2]
    assert first.test.tolist() == [False] * 6 + [True] * 2
    for other in others:
        assert all(np.array_equal(getattr(first, f), getattr(other, f)) for f in ("x", "label", "subject", "test"))


def test_stitching_restores_the_stretches(tmp_path):
    packed = uci_har.stitch(uci_har.read_archive(zip_archive(tmp_path / "a.zip", archive_tables())))
    assert packed.names.tolist() == ["user01_run01", "user01_run02", "user02_run01", "user03_run01"]
    assert packed.subjects.tolist() == ["1", "1", "2", "3"]
    assert packed.lengths.tolist() == [256, 192, 192, 128]
    assert np.array_equal(sliding_windows(packed.samples[:256], 128, 64), cut_windows(13, 3))
    assert np.array_equal(sliding_windows(packed.samples[256:448], 128, 64), cut_windows(12, 2))


def test_a_half_that_two_windows_label_differently_is_unlabelled(tmp_path):
    packed = uci_har.stitch(uci_har.read_archive(zip_archive(tmp_path / "a.zip", archive_tables())))
    assert packed.labels[:256:64].tolist() == [4, 4, UNLABELLED, 3]
    assert all(len(set(packed.labels[i : i + 64].tolist())) == 1 for i in range(0, len(packed.labels), 64))


def test_one_changed_value_ends_a_stretch(tmp_path):
    windows = uci_har.read_archive(zip_archive(tmp_path / "a.zip", archive_tables()))
    assert uci_har.overlaps(windows).tolist() == [True, True, False, False, True, False, True]
    windows.x[1, 100, 5] += np.float32(1e-6)
    assert uci_har.overlaps(windows).tolist() == [True, False, False, False, True, False, True]


def test_use_and_load_go_through_the_cache(tmp_path, official):
    recordings = uci_har.use(zip_archive(tmp_path / "a.zip", archive_tables()))
    (tmp_path / "a.zip").unlink()
    assert uci_har.ready()
    again = uci_har.load()
    assert [r.name for r in again] == [r.name for r in recordings]
    assert [c.name for c in again[0].channels] == ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]
    assert all(a.samples.tobytes() == b.samples.tobytes() for a, b in zip(recordings, again, strict=True))


@pytest.mark.parametrize("name", [*uci_har.ARCHIVE_NAMES, uci_har.FOLDER_NAME, uci_har.REENCODED_NAME])
def test_edgehar_data_may_hold_any_form(tmp_path, monkeypatch, official, name):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("EDGEHAR_DATA", str(folder))
    source = zip_archive(tmp_path / "a.zip", archive_tables())
    if name == uci_har.FOLDER_NAME:
        with zipfile.ZipFile(source) as z:
            z.extractall(folder)
    elif name == uci_har.REENCODED_NAME:
        _reencode(uci_har.read_archive(source), folder / name)
    else:
        source.rename(folder / name)
    assert uci_har.find_source() == folder / name
    assert [len(r.samples) for r in uci_har.load()] == [256, 192, 192, 128]


def _reencode(windows, path):
    halves = np.zeros((2 * len(windows.x), 9, 64), np.float32)
    halves[:, [6, 7, 8, 3, 4, 5]] = windows.x.reshape(-1, 64, 6).transpose(0, 2, 1)
    index = np.arange(len(halves), dtype=np.int32).reshape(-1, 2)
    label, subject, split = (a.astype(np.uint8) for a in (windows.label, windows.subject, windows.test))
    np.savez_compressed(path, halves=halves, index=index, label=label, subject=subject, split=split)


def test_nothing_there_says_how_to_get_it():
    assert not uci_har.ready()
    with pytest.raises(DataError, match="edgehar data fetch uci_har"):
        uci_har.load()


def test_a_copy_that_is_not_the_official_data_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"train_windows is \(1, 2, 0, 1, 2, 0\), expected \(1226"):
        uci_har.use(zip_archive(tmp_path / "a.zip", archive_tables()))


@pytest.mark.parametrize(
    ("field", "value"),
    [("test_windows", (1,) * 6), ("train_subjects", (1, 4)), ("test_subjects", (2, 3)), ("overlaps", 5)],
)
def test_each_count_must_be_the_official_one(tmp_path, monkeypatch, official, field, value):
    windows = uci_har.read_archive(zip_archive(tmp_path / "a.zip", archive_tables()))
    uci_har.check_official(windows, "here")
    monkeypatch.setattr(uci_har, "OFFICIAL", replace(official, **{field: value}))
    with pytest.raises(DataError, match=f"here: {field} is .*, expected "):
        uci_har.check_official(windows, "here")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train/y_train.txt", lambda t: None, "holds no 'UCI HAR Dataset/train/y_train.txt'"),
        ("test/Inertial Signals/body_gyro_z_test.txt", lambda t: None, "holds no .*body_gyro_z_test.txt"),
        ("train/subject_train.txt", lambda t: None, "nor does a zip inside it"),
        (
            "train/y_train.txt",
            lambda t: t.replace("4", "7"),
            "y_train.txt: line 3 is 7, expected a whole number from 1",
        ),
        ("train/y_train.txt", lambda t: t.replace("4", "1.5"), "line 3 is 1.5, expected a whole number"),
        ("train/y_train.txt", lambda t: "", "y_train.txt: it is empty"),
        ("test/subject_test.txt", lambda t: t + "2\n", "subject_test.txt: 3 lines for 2 in y_test.txt"),
        ("test/subject_test.txt", lambda t: "31\n2\n", "line 1 is 31, expected a whole number from 1 to 30"),
        ("test/Inertial Signals/total_acc_x_test.txt", lambda t: t[t.index("\n") + 1 :], "1 windows for 2 labels"),
        ("test/Inertial Signals/total_acc_x_test.txt", lambda t: t + "1 2\n", "total_acc_x_test.txt: .*columns"),
        ("test/Inertial Signals/total_acc_x_test.txt", lambda t: "1 2\n3 4\n", "2 numbers a line, expected 128"),
        ("test/Inertial Signals/total_acc_x_test.txt", lambda t: t.replace("e", "x", 1), "total_acc_x_test.txt: "),
        ("test/Inertial Signals/total_acc_x_test.txt", lambda t: "nan " + t[16:], "line 1 holds a value that is not"),
        ("test/Inertial Signals/total_acc_x_test.txt", lambda t: "\xff" + t, "total_acc_x_test.txt: "),
    ],
)
def test_damaged_files_are_named(tmp_path, name, change, message):
    files = archive_tables()
    text = change(files.pop(name))
    if text is not None:
        files[name] = text
    with pytest.raises(DataError, match=message):
        uci_har.read_archive(zip_archive(tmp_path / "a.zip", files))


def test_zip_bomb_is_stopped_at_the_limit(tmp_path):
    files = archive_tables() | {"train/y_train.txt": "1" * (64 << 20)}  # 64 kB in the archive
    path = zip_archive(tmp_path / "a.zip", files)
    assert path.stat().st_size < 400_000
    tracemalloc.start()
    with pytest.raises(DataError, match="is larger than 1048576 bytes"):
        uci_har.read_archive(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_bomb_whose_directory_lies_about_its_size_is_stopped(tmp_path):
    path = zip_archive(tmp_path / "a.zip", archive_tables() | {"train/y_train.txt": "1" * (2 << 20)})
    data = path.read_bytes()
    path.write_bytes(data.replace((2 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(DataError, match=r"y_train\.txt"):
        uci_har.read_archive(path)


def test_nested_zip_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "INNER_ZIP_LIMIT", 1 << 20)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("inner.zip", b"0" * (8 << 20))
    with pytest.raises(DataError, match=r"inner\.zip' is larger than 1048576 bytes"):
        uci_har.read_archive(path)


def test_only_one_level_of_nesting_is_followed(tmp_path):
    data = zip_archive(tmp_path / "a.zip", archive_tables()).read_bytes()
    for _ in range(2):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as z:
            z.writestr("inner.zip", data)
        data = stream.getvalue()
    (tmp_path / "deep.zip").write_bytes(data)
    with pytest.raises(DataError, match="nor does a zip inside it"):
        uci_har.read_archive(tmp_path / "deep.zip")


def test_methods_whose_output_zipfile_does_not_bound_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as z:
        for name, text in archive_tables().items():
            z.writestr(ROOT + name, text)
    with pytest.raises(DataError, match="compressed by method 14, expected stored or deflated"):
        uci_har.read_archive(path)


def test_changed_byte_in_a_member_is_found(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as z:  # stored, so a changed digit stays a digit
        for name, text in archive_tables().items():
            z.writestr(ROOT + name, text)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"2\n2\n", b"3\n3\n", 1))
    with pytest.raises(DataError, match=r"cannot be unpacked \(Bad CRC-32"):
        uci_har.read_archive(path)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04"])
def test_what_is_no_zip_is_refused(tmp_path, content):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be opened as a zip file"):
        uci_har.use(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY"])
def test_damaged_reencoded_file_is_refused(tmp_path, content):
    path = tmp_path / uci_har.REENCODED_NAME
    path.write_bytes(content)
    with pytest.raises(DataError, match="not the re-encoded UCI HAR file"):
        uci_har.use(path)


def test_missing_path_and_wrong_folder(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        uci_har.use(tmp_path / "nowhere.zip")
    with pytest.raises(DataError, match=r"hold no 'train/subject_train.txt'"):
        uci_har.use(tmp_path)
