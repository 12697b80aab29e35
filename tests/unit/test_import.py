"""``edgehar data import``: files of many makes give the same recordings; what was guessed and what is wrong is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cbor2
import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_files import GRAVITY, KEY, csv_text, edge_impulse, plain_columns, walk, write

from edgehar.cli import main
from edgehar.datasets import find_dataset
from edgehar.datasets.tabular import store
from edgehar.datasets.tabular.columns import ColumnSettings, sensor_of
from edgehar.datasets.tabular.dialect import ReadSettings, sniff
from edgehar.datasets.tabular.importing import Import, ImportSettings, import_files
from edgehar.datasets.tabular.readers import read_table
from edgehar.datasets.tabular.streams import StreamSettings
from edgehar.errors import DataError, UsageError

WALK = walk()
EXACT_TO = 2e-5  # five decimals in the text


@pytest.fixture(autouse=True)
def own_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path_factory.mktemp("datasets")
    monkeypatch.setenv("EDGEHAR_DATASETS", str(place))
    return place


def imported(*paths: Path, settings: ImportSettings | None = None) -> Import:
    return import_files(list(paths), "made", settings or ImportSettings())


def said(made: Import, what: str) -> str:
    return next(guess.value for guess in made.guesses if guess.what == what)


def problems(made: Import) -> str:
    return "\n".join(f"{p.severity}: {p.what}" for p in made.problems)


def check_walk(made: Import, data=WALK, within: float = EXACT_TO) -> None:
    """All samples of the walk, in one piece or in parts, in base units, with their labels."""
    _, acc, gyro, labels = data
    expected = np.hstack([acc, gyro])
    samples = np.concatenate([r.samples for r in made.recordings])
    assert [c.name for c in made.recordings[0].channels] == [f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz"]
    assert [c.unit for c in made.recordings[0].channels] == ["g"] * 3 + ["rad/s"] * 3
    assert samples.shape == expected.shape
    np.testing.assert_allclose(samples, expected, atol=within)
    names = [r.label_names[i] for r in made.recordings for i in r.labels.tolist()]  # type: ignore[union-attr]
    assert names == labels.tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([",", ";", "\t", "|", " "]), st.sampled_from([".", ","]), st.booleans(), st.sampled_from([0, 1, 3])
)
def test_any_dialect_is_found(delimiter: str, decimal: str, names: bool, remarks: int) -> None:
    if delimiter == decimal:
        return
    columns = {key: values[:40] for key, values in plain_columns().items() if key != "label"}
    text = csv_text(columns, delimiter, decimal, names, ["# made by an app"] * remarks)
    dialect = sniff(text, ReadSettings(), "utf-8")
    assert (dialect.delimiter, dialect.decimal) == (delimiter, decimal)
    assert dialect.names == (tuple(columns) if names else tuple(f"column_{i}" for i in range(7)))


CSV = {
    "plain": (plain_columns(), {}),
    "German": (plain_columns(acc_factor=GRAVITY), {"delimiter": ";", "decimal": ","}),
    "milli-g and degrees": (plain_columns(acc_factor=1000, gyro_factor=180 / np.pi), {"delimiter": "\t"}),
    "remarks": (plain_columns(), {"remarks": ["% Some App 3.1", "device,Pixel 7,,", ""]}),
}


@pytest.mark.parametrize("name", CSV)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv(name: str, encoding: str, tmp_path: Path) -> None:
    columns, dialect = CSV[name]
    made = imported(write(tmp_path / "walk.csv", csv_text(columns, **dialect), encoding))
    check_walk(made, within=1e-4 if "degrees" in name else EXACT_TO)
    assert made.usable and said(made, "rate of the recordings") == "50 Hz"


def test_units_are_guessed_from_values_and_said(tmp_path: Path) -> None:
    columns, _ = CSV["milli-g and degrees"]
    made = imported(write(tmp_path / "walk.csv", csv_text(columns)))
    assert (said(made, "unit of acc"), said(made, "unit of gyro")) == ("mg", "deg/s")
    assert "gravity is 1 g" in next(g.why for g in made.guesses if g.what == "unit of acc")


def test_names_of_phone_apps() -> None:
    for name, channel in {
        "Accelerometer X (g)": "acc_x", "accX": "acc_x", "ax": "acc_x", "acc.y [m/s²]": "acc_y",
        "X-acceleration": "acc_x",
        "gyroscope_z": "gyro_z", "wx": "gyro_x", "gz": "gyro_z", "gyr Y (deg/s)": "gyro_y", "mag_x (uT)": "mag_x",
        "watch_acc_x": "watch_acc_x", "Phone Gyroscope Y": "phone_gyro_y", "magnetometer z": "mag_z",
        "rotation_rate_x": "gyro_x",
    }.items():  # fmt: skip
        assert sensor_of(name) == (channel, False), name
    assert sensor_of("linear_acceleration_x") == ("acc_x", True) and sensor_of("userAcceleration.z") == ("acc_z", True)
    for name in ("gravity_x", "latitude", "box", "heart rate", "index"):
        assert sensor_of(name) is None, name


def test_dates_and_columns_of_people_and_sessions(tmp_path: Path) -> None:
    frames = []
    for person in (3, 7, 12):
        t, acc, _, labels = walk(seed=person)
        moments = pandas.Timestamp("2024-05-01 10:00:00") + pandas.to_timedelta(t, unit="s")
        frame = pandas.DataFrame({"Timestamp": moments.astype(str), "user": person, "Activity": labels})
        for i, axis in enumerate("XYZ"):
            frame[f"Acc{axis}"] = acc[:, i]
        frames.append(frame)
    path = tmp_path / "all.csv"
    pandas.concat(frames).to_csv(path, index=False)
    made = imported(path)
    assert [r.subject for r in made.recordings] == ["3", "7", "12"]
    assert said(made, "label column") == "Activity" and said(made, "people") == "column 'user'"
    np.testing.assert_allclose(made.recordings[1].samples, walk(seed=7)[1], atol=1e-6)


def test_parquet_with_epoch_milliseconds(tmp_path: Path) -> None:
    t, acc, gyro, labels = WALK
    frame = pandas.DataFrame({"epoch (ms)": 1_700_000_000_000 + t * 1000, "class": labels})
    for i, axis in enumerate("xyz"):
        frame[f"a{axis}"], frame[f"g{axis}"] = acc[:, i], gyro[:, i]
    frame.to_parquet(tmp_path / "walk.parquet")
    settings = ImportSettings()
    made = imported(tmp_path / "walk.parquet", settings=settings)
    assert said(made, "time unit") == "ms"
    by_name = [c.name for c in made.recordings[0].channels]
    assert by_name == ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]
    x = np.concatenate([r.samples for r in made.recordings])
    np.testing.assert_allclose(x[:, :3], acc, atol=1e-5)


def test_npz_of_arrays(tmp_path: Path) -> None:
    t, acc, gyro, labels = WALK
    np.savez(tmp_path / "walk.npz", time=t, acc=acc, gyro=gyro, label=labels.astype(str), note=np.array("x"))
    check_walk(imported(tmp_path / "walk.npz"), within=1e-6)


def test_edge_impulse_signed(tmp_path: Path) -> None:
    files = []
    for index, label in enumerate(("walking", "sitting", "walking", "sitting")):
        message = edge_impulse(walk(6.0, seed=index))
        files.append(write(tmp_path / f"{label}.{index}.json", json.dumps(message)))
    signed = ImportSettings(ReadSettings(hmac_key=KEY))
    made = imported(*files, settings=signed)
    assert made.recordings[0].label_names == ("sitting", "walking") and said(made, "signature") == "in order"
    np.testing.assert_allclose(made.recordings[0].samples[:, :3], walk(6.0, seed=0)[1], atol=1e-6)
    with pytest.raises(DataError, match="signature is wrong"):
        imported(files[0], settings=ImportSettings(ReadSettings(hmac_key="another")))
    altered = files[0].read_text().replace("BOARD", "B0ARD")
    with pytest.raises(DataError, match="signature is wrong"):
        imported(write(files[0], altered), settings=signed)
    assert imported(*files).usable


def test_edge_impulse_cbor_signature(tmp_path: Path) -> None:
    import hashlib
    import hmac

    message = edge_impulse(walk(6.0)) | {"signature": "0" * 64}
    blank = cbor2.dumps(message)
    signature = hmac.new(KEY.encode(), blank, hashlib.sha256).hexdigest()
    path = tmp_path / "walking.1.cbor"
    path.write_bytes(blank.replace(b"0" * 64, signature.encode()))
    table = read_table(path, ReadSettings(hmac_key=KEY))
    assert table.label == "walking" and table.rate_hz == 50.0 and table.rows == 300
    path.write_bytes(blank)
    with pytest.raises(DataError, match="signature is wrong"):
        read_table(path, ReadSettings(hmac_key=KEY))


def test_a_folder_for_each_label(tmp_path: Path) -> None:
    for label in ("up", "down"):
        for person in (1, 2):
            columns = plain_columns(walk(6.0, seed=person))
            del columns["label"]
            write(tmp_path / label / f"subject{person}.csv", csv_text(columns))
    made = imported(tmp_path)
    assert said(made, "labels") == "the folder a file is in"
    assert {(r.subject, r.label_names[r.labels[0]]) for r in made.recordings} == {  # type: ignore[index]
        ("1", "up"), ("2", "up"), ("1", "down"), ("2", "down"),
    }  # fmt: skip


def test_a_file_for_each_sensor(tmp_path: Path) -> None:
    """As logging apps write it: one file a sensor, each with its own times."""
    t, acc, gyro, _ = WALK
    for name, x, shift in (("Accelerometer", acc * GRAVITY, 0.0), ("Gyroscope", gyro, 0.004)):
        columns = {"time": ((t + shift) * 1e9).tolist(), "seconds_elapsed": (t + shift).tolist()}
        columns |= {axis: x[:, "xyz".index(axis)].tolist() for axis in "zyx"}
        write(tmp_path / "walking-1" / f"{name}.csv", csv_text(columns))
    made = imported(tmp_path, settings=ImportSettings(content=StreamSettings(label_from="none")))
    x = np.concatenate([r.samples for r in made.recordings])
    assert said(made, "files") == "one a sensor, merged by time"
    assert [c.name for c in made.recordings[0].channels] == [f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz"]
    assert len(x) == len(t) - 1 and np.abs(x[:, :3] - acc[:-1]).max() < 0.1
    assert "error: no labels" in problems(made) and not made.usable


def test_rows_without_names_or_times(tmp_path: Path) -> None:
    columns = {key: values for key, values in plain_columns().items() if key not in ("t_s", "label")}
    path = write(tmp_path / "walk.txt", csv_text(columns, " ", names=False))
    with pytest.raises(DataError, match="no sensor's axis"):
        imported(path)
    named = ReadSettings(names=tuple(columns))
    with pytest.raises(UsageError, match="--source-rate"):
        imported(path, settings=ImportSettings(named))
    made = imported(path, settings=ImportSettings(named, StreamSettings(rate_hz=100.0)))
    assert sum(len(r.samples) for r in made.recordings) in range(745, 751)  # 100 Hz to 50


def test_gaps_order_and_cells_without_numbers(tmp_path: Path) -> None:
    columns = plain_columns()
    rows = list(zip(*columns.values(), strict=True))
    table = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
    for at in (100, 101, 400):
        table["acc_y"][at] = "lost"
    for cells in table.values():
        del cells[600:750]  # three seconds
        cells[50], cells[51] = cells[51], cells[50]
        cells.insert(200, cells[200])
    made = imported(write(tmp_path / "walk.csv", csv_text(table)))
    text = problems(made)
    for expected in ("1 samples out of order", "1 samples that are there twice", "3 cells without", "1 gaps"):
        assert expected in text, text
    assert sum(len(r.samples) for r in made.recordings) == 600 + 750
    assert np.abs(made.recordings[0].samples[100:102, 1] - WALK[1][100:102, 1]).max() < 0.2


def test_a_clock_that_starts_again_begins_another_recording(tmp_path: Path) -> None:
    columns = plain_columns(walk(10.0))
    twice = {key: [*values, *values] for key, values in columns.items()}
    made = imported(write(tmp_path / "walk.csv", csv_text(twice)))
    assert sum(len(r.samples) for r in made.recordings) == 2 * 500 and "steps back 1 times" in problems(made)


def test_a_phone_in_bursts_is_taken_as_steady(tmp_path: Path) -> None:
    t, acc, gyro, labels = walk(20.0, 100.0)
    bursts = np.ceil(t / 0.08) * 0.08  # eight samples at the same moment
    columns = plain_columns((bursts, acc, gyro, labels))
    made = imported(write(tmp_path / "walk.csv", csv_text(columns)))
    assert "1 streams whose stamps come in bursts" in problems(made)
    x = np.concatenate([r.samples for r in made.recordings])
    assert np.abs(x[5:-5, 0] - acc[10::2][: len(x) - 10, 0]).max() < 0.2


def test_what_is_wrong_with_the_data(tmp_path: Path) -> None:
    t, acc, gyro, labels = walk(60.0)
    acc = np.clip(acc, -0.2, 0.2) + np.array([0, 0, 1])
    gyro[:, 1] = 0.5
    labels[:40] = "rare"
    columns = plain_columns((t, acc, gyro, labels)) | {"user": ["1"] * len(t)}
    made = imported(write(tmp_path / "walk.csv", csv_text(columns)))
    text = problems(made)
    for expected in (
        "acc_x stays at",
        "gyro_y is always 0.5",
        "rare: 1 s in all",
        "each part of a recording counts as one",
    ):
        assert expected in text, text


def test_one_recording_is_cut_into_parts_and_that_is_said(tmp_path: Path) -> None:
    made = imported(write(tmp_path / "walk.csv", csv_text(plain_columns())))
    assert len({r.subject for r in made.recordings}) == 5
    assert "people are unknown: each part of a recording counts as one" in problems(made)


def test_other_sensors_and_rates(tmp_path: Path) -> None:
    t = np.arange(400) / 10
    columns = {"t": t.tolist(), "pressure_z": np.sin(t).tolist(), "label": ["a", "b"] * 200}
    settings = ImportSettings(content=StreamSettings(columns=ColumnSettings({"acc_x": "pressure_z"})))
    made = imported(write(tmp_path / "one.csv", csv_text(columns)), settings=settings)
    assert made.described.rate_hz == 10.0 and made.recordings[0].samples.shape[1] == 1


def test_it_is_found_by_name_and_a_change_is_noticed(tmp_path: Path, own_folder: Path) -> None:
    path = write(tmp_path / "walk.csv", csv_text(plain_columns()))
    assert main(["data", "import", str(path), "--name", "made"]) == 0
    dataset = find_dataset("made")
    assert dataset.label_names == ("sitting", "walking") and len(dataset.load()) == 5
    assert dataset.test_subjects and (own_folder / "made" / "preview.png").stat().st_size > 10_000
    assert main(["data", "list"]) == 0 and main(["data", "inspect", "made"]) == 0
    data = bytearray((own_folder / "made" / store.RECORDINGS).read_bytes())
    data[len(data) // 2] ^= 1
    (own_folder / "made" / store.RECORDINGS).write_bytes(data)
    with pytest.raises(DataError, match="was altered"):
        find_dataset("made").load()
    (own_folder / "made" / store.DESCRIPTION).write_text("[1")
    with pytest.raises(DataError, match="is damaged"):
        find_dataset("made")
    assert main(["data", "import", str(path), "--name", "made"]) == 0  # again, in its place
    assert len(find_dataset("made").load()) == 5


def test_nothing_is_written_by_a_dry_run_or_where_nothing_can_be_trained(tmp_path: Path, own_folder: Path) -> None:
    path = write(tmp_path / "walk.csv", csv_text(plain_columns()))
    out = tmp_path / "said.json"
    assert main(["data", "import", str(path), "--name", "made", "--dry-run", "--json", str(out)]) == 0
    assert main(["data", "import", str(path), "--name", "made", "--label", "", "--label-from", "none"]) == 1
    assert not any(own_folder.iterdir())
    assert {"what", "value", "why", "sure"} == set(json.loads(out.read_text())["guesses"][0])


@pytest.mark.parametrize(
    "arguments",
    [
        "--name hapt",
        "--name ../x",
        "--name made --label nothing",
        "--name made --unit acc=ft",
        "--name made --scale acc=0",
        "--name made --channel acc_x",
        "--name made --rate-hz 0",
        "--name made --clock x",
        "--name made --delimiter ::",
        "--name made --time-unit min",
    ],
)
def test_wrong_use_is_code_2(arguments: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "walk.csv", csv_text(plain_columns()))
    assert main(["data", "import", str(path), *arguments.split()]) == 2
    said = capsys.readouterr().err
    assert re.search("expected|choose another|it has t_s, acc_x", said), said


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, content in {
        "empty.csv": b"", "binary.csv": bytes(range(256)) * 20, "x.json": b"[" * 100_000, "y.json": b"{}",
        "z.cbor": b"\xff\xff", "p.parquet": b"PAR1" + bytes(50), "n.npz": b"PK", "words.csv": b"hello\nworld\n",
    }.items():  # fmt: skip
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises((DataError, UsageError)) as caught:
            imported(path)
        assert name in str(caught.value)
    with pytest.raises(UsageError, match="there is no such file"):
        imported(tmp_path / "nowhere.csv")


def test_init_writes_a_config_that_is_accepted_and_never_over_another(tmp_path: Path) -> None:
    from edgehar.training.config import load_config

    path = write(tmp_path / "walk.csv", csv_text(plain_columns(walk(600.0))))
    assert main(["data", "import", str(path), "--name", "made"]) == 0
    out = tmp_path / "made.toml"
    assert main(["init", "made", "--out", str(out)]) == 0
    held_out = find_dataset("made").test_subjects
    assert load_config(out) == load_config(dataset="made", test_subjects=held_out)
    before = out.read_bytes()
    assert main(["init", "made", "--out", str(out)]) == 2 and out.read_bytes() == before
    out.write_text(out.read_text().replace("epochs", "epoch"))
    assert main(["train", "--config", str(out), "--out", str(tmp_path / "run")]) == 2
