"""Ready-made examples: folds share nobody, labels can be chosen, and the readers give back what was written."""

import numpy as np
import pytest
from uci_har_fixtures import archive_tables, zip_archive

from edgehar.datasets import EXAMPLE_SETS, extrasensory, load_examples, uci_har, uci_har_examples
from edgehar.datasets.examples import Examples
from edgehar.errors import DataError, UsageError
from edgehar.heads import Task

LABELS = ("walking", "sitting", "phone")


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEHAR_DATA", raising=False)


def _examples(**changed):
    rng = np.random.default_rng(0)
    given = {
        "values": rng.normal(size=(12, 4)).astype(np.float32),
        "columns": ("a", "b", "c", "d"),
        "subjects": np.array([str(i) for i in range(6) for _ in range(2)]),
        "task": Task("context", "multilabel", LABELS),
        "truth": rng.integers(-1, 2, (12, 3)).astype(np.int16),
        "test_groups": (("0", "1"), ("2", "3"), ("4", "5")),
    }
    return Examples(**(given | changed))


def test_folds_share_nobody_and_test_everybody_once():
    examples = _examples()
    assert len(examples.splits) == 3
    tested = []
    for split in examples.splits:
        train, test = (set(examples.rows(s).tolist()) for s in (split.train_subjects, split.test_subjects))
        assert train.isdisjoint(test)
        assert train | test == set(range(12))
        tested += split.test_subjects
    assert sorted(tested) == ["0", "1", "2", "3", "4", "5"]


def test_some_rows_keep_their_own_people_and_truth():
    part = _examples().take(np.array([0, 4, 5, 11]))
    assert part.subjects.tolist() == ["0", "2", "2", "5"]
    assert part.test_groups == (("0",), ("2",), ("5",))
    assert (part.truth == _examples().truth[[0, 4, 5, 11]]).all()


def test_labels_are_chosen_in_the_order_given():
    examples = _examples()
    part = examples.asked(["phone", "walking"])
    assert part.task.labels == ("phone", "walking")
    assert (part.truth == examples.truth[:, [2, 0]]).all()
    with pytest.raises(DataError, match="label 'running' is not in the data, which have walking, sitting, phone"):
        examples.asked(["running"])
    one = _examples(task=Task("activity", "multiclass", LABELS), truth=np.zeros((12, 1), np.int16))
    with pytest.raises(DataError, match="'activity' is multiclass"):
        one.asked(["walking"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"columns": ("a", "b")}, r"values have shape \(12, 4\), expected \[N, 2\]"),
        ({"values": np.full((12, 4), np.inf, np.float32)}, "some of them infinite"),
        ({"values": np.zeros((12, 4))}, "values are float64; expected finite float32"),
        ({"subjects": np.array(["0"])}, r"\(1,\) subjects"),
        ({"truth": np.full((12, 3), 2, np.int16)}, r"truth runs from 2 to 2, expected -1 \(unknown\) to 1"),
        ({"test_groups": (("0", "1"), ("1", "2"))}, "subjects 1 are in two test groups"),
        ({"test_groups": (("0", "9"),)}, "no rows of subjects 9"),
    ],
)
def test_what_does_not_fit_together_is_refused(changed, message):
    with pytest.raises(DataError, match=message):
        _examples(**changed)


def _write_extrasensory(path, **changed):
    values = np.random.default_rng(1).normal(size=(5, 3)).astype("<f2")
    values[2, 1] = np.nan
    planes = values.T.copy().view(np.uint8).reshape(3, 5, 2).transpose(0, 2, 1)
    given = {
        "planes": planes,
        "labels": np.array([[1, 0, -1, 0, 1], [-1, -1, 0, 1, 1]], np.int8),
        "user": np.array([0, 0, 1, 2, 2], np.uint8),
        "user_fold": np.array([0, 1, 0], np.int8),
        "feature_names": np.array(["a", "b", "c"]),
        "label_names": np.array(["walking", "phone"]),
    }
    np.savez(path, **(given | changed))
    return values


def test_extrasensory_is_decoded_as_it_was_written(tmp_path):
    values = _write_extrasensory(tmp_path / "e.npz")
    examples = extrasensory.decode(tmp_path / "e.npz")
    np.testing.assert_array_equal(examples.values, values.astype(np.float32))
    assert examples.task.labels == ("walking", "phone")
    assert examples.truth.tolist() == [[1, -1], [0, -1], [-1, 0], [0, 1], [1, 1]]
    assert examples.subjects.tolist() == ["0", "0", "1", "2", "2"]
    assert [split.test_subjects for split in examples.splits] == [("0", "2"), ("1",)]


def test_another_layout_is_one_clear_error(tmp_path, no_data, monkeypatch):
    path = tmp_path / extrasensory.FILE_NAME
    _write_extrasensory(path, labels=np.zeros((2, 4), np.int8))
    with pytest.raises(DataError, match=r"not laid out as extrasensory_imu.npz .*\(4, 2\) truth for 5 rows"):
        extrasensory.decode(path)
    with pytest.raises(DataError, match=r"'extrasensory' is not in .*set EDGEHAR_DATA"):
        extrasensory.load()
    monkeypatch.setenv("EDGEHAR_DATA", str(tmp_path))
    with pytest.raises(DataError, match="has SHA-256"):
        extrasensory.load()
    path.write_bytes(b"no zip")
    with pytest.raises(DataError, match="not laid out as"):
        extrasensory.decode(path)


@pytest.fixture
def tables(monkeypatch):
    """A small archive that counts as the official one, with body acceleration and features of three columns."""
    counts = uci_har.Counts((1, 2, 0, 1, 2, 0), (0, 0, 0, 0, 0, 2), (1, 3), (2,), 4)
    monkeypatch.setattr(uci_har, "OFFICIAL", counts)
    files = archive_tables()
    for half, rows in (("train", 6), ("test", 2)):
        for axis, scale in zip("xyz", (1, 2, 3), strict=True):
            total = files[f"{half}/Inertial Signals/total_acc_x_{half}.txt"]
            lines = [[float(v) * scale for v in line.split()] for line in total.splitlines()]
            text = "\n".join(" ".join(f"{v:.7e}" for v in line) for line in lines)
            files[f"{half}/Inertial Signals/body_acc_{axis}_{half}.txt"] = text
        files[f"{half}/X_{half}.txt"] = "\n".join(f"{i} {-i} 0.5" for i in range(rows))
    files["features.txt"] = "1 mean-X\n2 mean-Y\n3 std, X\n"
    return files


@pytest.fixture
def small_archive(tmp_path, tables):
    return zip_archive(tmp_path / "a.zip", tables)


def test_uci_har_windows_have_nine_channels_in_the_archives_order(small_archive):
    examples = uci_har_examples.read_windows(small_archive)
    assert examples.values.shape == (8, 128, 9)
    assert examples.columns[0] == "body_acc_x"
    assert examples.columns[6] == "total_acc_x"
    windows = uci_har.read_archive(small_archive).x
    np.testing.assert_array_equal(examples.values[..., 6:], windows[..., :3])
    np.testing.assert_array_equal(examples.values[..., 3:6], windows[..., 3:])
    np.testing.assert_allclose(examples.values[..., 2], 3 * windows[..., 0], rtol=1e-6)
    assert examples.truth[:, 0].tolist() == [4, 4, 3, 0, 1, 1, 5, 5]
    assert [split.test_subjects for split in examples.splits] == [("2",)]


def test_uci_har_features_are_named_and_in_order(small_archive):
    examples = uci_har_examples.read_features(small_archive)
    assert examples.columns == ("mean-X", "mean-Y", "std, X")
    assert examples.values[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert examples.subjects.tolist() == ["1", "1", "1", "3", "1", "1", "2", "2"]


def test_a_table_of_another_length_is_named(tmp_path, tables):
    tables["train/X_train.txt"] = "0 0 0.5\n" * 5
    with pytest.raises(DataError, match=r"X_train.txt: 5 lines, expected one for each of 6 labels"):
        uci_har_examples.read_features(zip_archive(tmp_path / "a.zip", tables))


def test_names_are_those_of_the_table(no_data):
    assert all(name == entry.name and not entry.ready() for name, entry in EXAMPLE_SETS.items())
    with pytest.raises(UsageError, match="no data set of examples 'hapt'; known ones: uci_har_windows"):
        load_examples("hapt")
    for name in ("uci_har_windows", "uci_har_features"):
        with pytest.raises(DataError, match="edgehar data fetch uci_har"):
            load_examples(name)


@pytest.mark.skipif(not EXAMPLE_SETS["extrasensory"].ready(), reason="needs extrasensory_imu.npz in EDGEHAR_DATA")
def test_extrasensory_itself():
    examples = load_examples("extrasensory")
    assert examples.values.shape == (179300, 107)
    assert len(examples.people) == 37
    assert [len(split.test_subjects) for split in examples.splits] == [8, 10, 3, 5, 11]
    walking = examples.truth[:, examples.task.labels.index("FIX_walking")]
    assert [int((walking == answer).sum()) for answer in (1, 0, -1)] == [10046, 131087, 38167]


@pytest.mark.skipif(
    not EXAMPLE_SETS["uci_har_features"].ready() or not EXAMPLE_SETS["uci_har_windows"].ready(),
    reason="needs UCI HAR in EDGEHAR_DATA",
)
def test_both_tables_of_uci_har_are_of_the_same_windows():
    windows, features = load_examples("uci_har_windows"), load_examples("uci_har_features")
    assert windows.values.shape == (10299, 128, 9)
    assert features.values.shape == (10299, 561)
    assert (windows.truth == features.truth).all()
    assert (windows.subjects == features.subjects).all()
    assert windows.test_groups == features.test_groups == (uci_har.UCI_HAR.test_subjects,)
    # the table's body acceleration was scaled to -1..1 column by column, so it is a linear function of ours
    means = windows.values[..., 0].mean(axis=1)
    assert np.corrcoef(means, features.values[:, features.columns.index("tBodyAcc-mean()-X")])[0, 1] > 0.99
