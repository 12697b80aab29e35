"""CSV recordings and the golden stream: every way a file can be wrong is one clear line."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from device_fixtures import LABELS, RATE_HZ, altered, make_tiny_bundle, synthetic_recording, tiny_manifest

from device_sim.sources import first_seconds, golden_recording, on_device, read_csv
from edgehar.arrays import dump_npz
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import BundleError, DataError
from edgehar.recording import Channel

MANIFEST = tiny_manifest(32, 16, DecisionSpec())
HEADER = "acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"
ROW = "0.1,0.2,1.0,0.01,0.02,0.03"


def csv_file(tmp_path, text):
    path = tmp_path / "walk.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def timed(times, labels=None):
    rows = [f"{t},{ROW}" + ("" if labels is None else f",{labels[i]}") for i, t in enumerate(times)]
    return "\n".join([f"t_s,{HEADER}" + ("" if labels is None else ",label"), *rows])


def test_reads_columns_in_any_order_with_labels(tmp_path):
    path = csv_file(tmp_path, "label,gyro_x,gyro_y,gyro_z,acc_x,acc_y,acc_z\nwalking,4,5,6,1,2,3\n,4,5,6,1,2,3\n\n")
    recording = read_csv(path, MANIFEST)
    assert recording.samples.tolist() == [[1, 2, 3, 4, 5, 6]] * 2
    assert recording.labels.tolist() == [LABELS.index("walking"), -1]
    assert (recording.name, recording.subject, recording.rate_hz) == ("walk", "walk", RATE_HZ)
    assert read_csv(csv_file(tmp_path, f"\ufeff{HEADER}\n{ROW}"), MANIFEST).labels is None


REFUSED = {
    "empty": ("", "the file is empty"),
    "no_rows": (HEADER, "no rows"),
    "no_header": (f"{ROW}\n{ROW}", "numbers instead of column names"),
    "missing": ("acc_x,acc_y,acc_z\n1,2,3", "missing columns 'gyro_x', 'gyro_y', 'gyro_z'"),
    "unknown": (f"{HEADER},mag_x\n{ROW},1", "unknown column 'mag_x'"),
    "repeated": (f"{HEADER},acc_x\n{ROW},1", "repeated column 'acc_x'"),
    "short_row": (f"{HEADER}\n{ROW}\n1,2,3", "line 3: 3 cells, expected 6"),
    "word": (f"{HEADER}\n{ROW}\n1,2,x,4,5,6", "line 3, column 'acc_z': 'x' is not a number"),
    "empty_cell": (f"{HEADER}\n1,2,,4,5,6", "line 2, column 'acc_z': '' is not a number"),
    "nan": (f"{HEADER}\n{ROW}\n1,nan,3,4,5,6", "line 3, column 'acc_y': the value is nan"),
    "too_large": (f"{HEADER}\n1e300,2,3,4,5,6", "line 2, column 'acc_x': the value is inf"),
    "label": (f"{HEADER},label\n{ROW},flying", "unknown label 'flying'; the bundle knows sitting, walking, jumping"),
    "binary": (b"\xff\xfe\x00\x01", "not UTF-8"),
    "time_back": (timed([0, 0.02, 0.02]), "line 4: t_s is 0.02 s after 0.02 s"),
    "time_nan": (timed([0, "nan", 0.02]), "line 3, column 't_s'"),
    "rate": (timed(np.arange(20) / 100), "sampled at 100 Hz by its t_s, expected 50 Hz; run with --resample"),
    "gap": (timed([0, 0.02, 0.04, 0.1, 0.12, 0.14]), "line 5: a gap of 60 ms"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, text, message):
    path = csv_file(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_csv(path, MANIFEST)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_resampling_without_times(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_csv(tmp_path / "none.csv", MANIFEST)
    with pytest.raises(DataError, match="needs a column 't_s'"):
        read_csv(csv_file(tmp_path, f"{HEADER}\n{ROW}"), MANIFEST, resample=True)


def test_resample_brings_another_rate_to_the_bundles(tmp_path):
    times = np.arange(101) / 100
    labels = ["sitting"] * 51 + ["jumping"] * 50
    recording = read_csv(csv_file(tmp_path, timed(times, labels)), MANIFEST, resample=True)
    assert len(recording.samples) == 51
    assert recording.labels.tolist() == [0] * 26 + [2] * 25  # row 50 is at 0.50 s, still sitting
    assert np.allclose(recording.samples, np.float32([0.1, 0.2, 1.0, 0.01, 0.02, 0.03]))


def test_golden_recording(tmp_path):
    bundle = make_tiny_bundle(tmp_path)
    recording = golden_recording(bundle)
    arrays = bundle.arrays("golden.npz")
    assert (recording.name, recording.subject) == ("made@0", "s1")
    assert np.array_equal(recording.samples, arrays["stream_samples"])
    assert len(first_seconds(recording, 2.0).samples) == 100
    assert len(first_seconds(recording, 1e6).samples) == 1000

    def with_golden(**changes):
        return altered(bundle, tmp_path, {"golden.npz": dump_npz(**(arrays | changes))})

    bad_meta = np.frombuffer(json.dumps({"recording": "x"}).encode(), np.uint8)
    with pytest.raises(BundleError, match="meta is malformed"):
        golden_recording(with_golden(meta=bad_meta))
    with pytest.raises(BundleError, match="stream is malformed"):
        golden_recording(with_golden(stream_samples=arrays["stream_samples"][:, :5]))
    without = {name: array for name, array in arrays.items() if name != "stream_outputs"}
    with pytest.raises(BundleError, match="no array stream_outputs"):
        golden_recording(altered(bundle, tmp_path, {"golden.npz": dump_npz(**without)}))


def test_on_device_maps_channels_and_labels_by_name():
    recording = synthetic_recording(50)
    order = [5, 0, 3, 1, 2, 4]
    mixed = replace(
        recording,
        channels=tuple(recording.channels[i] for i in order),
        samples=np.ascontiguousarray(recording.samples[:, order]),
        labels=np.array([0, 1, 2, 3, -1] * 10, np.int16),
        label_names=("jumping", "swimming", "sitting", "walking"),
    )
    fitted = on_device(mixed, MANIFEST)
    assert np.array_equal(fitted.samples, recording.samples)
    assert fitted.labels[:5].tolist() == [2, -1, 0, 1, -1]
    assert fitted.label_names == LABELS


def test_on_device_refuses_what_does_not_fit():
    recording = synthetic_recording(50)
    with pytest.raises(DataError, match="at 100 Hz, the bundle expects 50 Hz"):
        on_device(replace(recording, rate_hz=100.0), MANIFEST)
    with pytest.raises(DataError, match="no channel gyro_z"):
        on_device(replace(recording, channels=recording.channels[:5], samples=recording.samples[:, :5]), MANIFEST)
    metric = (Channel("acc_x", "m/s^2"), *recording.channels[1:])
    with pytest.raises(DataError, match=r"'acc_x' is in m/s\^2 .* expects g"):
        on_device(replace(recording, channels=metric), MANIFEST)
