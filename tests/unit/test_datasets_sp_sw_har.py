import numpy as np
import pytest

from edgehar.datasets import load_dataset, sp_sw_har
from edgehar.errors import DataError
from edgehar.files import sha256_file
from edgehar.recording import UNLABELLED
from edgehar.signal import default_front_end
from edgehar.training.augment import triads

START_MS = 1_657_533_977_000


@pytest.fixture(autouse=True)
def no_other_data(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEHAR_DATA", raising=False)


def _signal(t):
    """``[6, N]`` in m/s² and rad/s at times ``t``, the same on both devices."""
    return np.stack([9.80665 * np.sin(2 * np.pi * (0.3 + 0.1 * c) * t + c) for c in range(6)]).astype(np.float32)


def _stream(start_s, seconds, rate_hz, burst):
    """Samples from ``start_s``, stamped with the time of the last of their burst."""
    t = start_s + np.arange(int(seconds * rate_hz)) / rate_hz
    last = np.minimum(np.arange(len(t)) // burst * burst + burst - 1, len(t) - 1)
    stamps_ms = np.round(1000 * t[last]).astype(np.int64)
    label = np.searchsorted([2.0, 4.0], t, side="right").astype(np.uint8)  # changes at 2 s and 4 s
    return _signal(t), stamps_ms, label


def _file(path, offsets_s, **changed):
    """A file of one walk per offset; the watch starts ``offset`` after the phone (before it where negative)."""
    streams = []
    for offset in offsets_s:
        streams += [_stream(max(0, -offset), 6, 102.44, 5), _stream(max(0, offset), 6, 104.28, 1)]
    x, stamps, label = zip(*streams, strict=True)
    t0 = np.array([s[0] for s in stamps])
    arrays = {
        "x": np.concatenate(x, axis=1),
        "t_ms": np.concatenate([s - s[0] for s in stamps]).astype(np.uint16),
        "label": np.concatenate(label),
        "start": np.cumsum([0, *map(len, stamps)]).astype(np.int32),
        "t0_ms": START_MS + t0,
        "subject": np.repeat(np.arange(1, len(offsets_s) + 1), 2).astype(np.uint8),
        "execution": np.ones(2 * len(offsets_s), np.uint8),
        "device": np.array([0, 1] * len(offsets_s), np.uint8),
    }
    np.savez(path, allow_pickle=False, **(arrays | changed))
    return path


@pytest.mark.parametrize("offset_s", [-1.0, -0.137, 0.0, 0.5, 1.07])
def test_two_streams_that_start_apart_are_brought_onto_one_grid(tmp_path, offset_s):
    packed = sp_sw_har.decode(_file(tmp_path / "f.npz", [offset_s]))
    # A stamp is the end of its burst, two samples (20 ms) after the middle one of five: the phone's clock is that late.
    late_s = 2 / 102.44
    grid = abs(offset_s) + np.arange(len(packed.samples)) / 50 + (late_s if offset_s <= 0 else 0)
    expected = _signal(np.stack([grid - late_s, grid])).transpose(1, 2, 0)  # [2, T, 6]
    expected[..., :3] /= 9.80665
    found = np.stack([packed.samples[:, :6], packed.samples[:, 6:]])
    assert np.abs(found - expected).max() < 0.03 * 9.80665  # stamps are whole milliseconds, slopes up to 50 a second
    assert abs(len(packed.samples) - 50 * (6 - abs(offset_s))) <= 3
    changes = np.flatnonzero(np.diff(packed.labels)).tolist()
    assert set(packed.labels.tolist()) >= {0, 1, 2}
    assert (packed.labels == UNLABELLED).sum() <= 2 * 2  # two changes of label, 20 ms apart on the two devices
    assert abs(grid[changes[0]] - 2.0) < 0.05


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"device": np.array([1, 0], np.uint8)}, "phone and watch of the same person"),
        ({"subject": np.array([1, 2], np.uint8)}, "phone and watch of the same person"),
        ({"t0_ms": np.array([START_MS, START_MS + 60_000])}, "share 0.00 s"),
        ({"x": np.zeros((5, 9), np.float32)}, "not laid out as sp_sw_har.npz"),
    ],
)
def test_another_layout_is_one_clear_line(tmp_path, changed, message):
    with pytest.raises(DataError, match=message):
        sp_sw_har.decode(_file(tmp_path / "f.npz", [0.0], **changed))


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "f.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match="not laid out"):
        sp_sw_har.decode(tmp_path / "f.npz")


def test_three_data_sets_from_one_file(tmp_path, monkeypatch):
    path = _file(tmp_path / sp_sw_har.FILE_NAME, [0.3, -0.2])
    with pytest.raises(DataError, match=r"'sp_sw_har' is not in .*set EDGEHAR_DATA"):
        load_dataset("sp_sw_har_watch")
    monkeypatch.setenv("EDGEHAR_DATA", str(tmp_path))
    with pytest.raises(DataError, match="has SHA-256"):
        load_dataset("sp_sw_har")
    digest = sha256_file(path)
    monkeypatch.setattr(sp_sw_har, "known_sha256", lambda _: digest)
    both, phone, watch = (load_dataset(name) for name in ("sp_sw_har", "sp_sw_har_phone", "sp_sw_har_watch"))
    assert [r.name for r in both] == ["user01_walk01", "user02_walk01"]
    for b, p, w in zip(both, phone, watch, strict=True):
        assert np.array_equal(b.samples, np.concatenate([p.samples, w.samples], axis=1))
        assert np.array_equal(p.labels, b.labels)
        assert [c.name for c in p.channels] == ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]
    assert [(c.device, c.quantity, c.axis) for c in both[0].channels[::5]] == [
        *(("phone", "acc", "x"), ("phone", "gyro", "z"), ("watch", "gyro", "y")),
    ]
    path.unlink()
    assert len(load_dataset("sp_sw_har")) == 2  # from the cache


def test_the_default_front_end_takes_both_devices():
    front_end = default_front_end(sp_sw_har.CHANNELS)
    assert front_end.width == 18
    assert front_end.names[3] == "watch_acc_x"
    assert triads(sp_sw_har.CHANNELS) == {"phone": [(0, 1, 2), (3, 4, 5)], "watch": [(6, 7, 8), (9, 10, 11)]}
