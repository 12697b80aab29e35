"""Inputs chosen by sensor, device or column: which columns they get, and what a wrong name is told."""

import numpy as np
import pytest

from edgehar.recording import IMU_CHANNELS, Channel
from edgehar.signal import InputChoice, default_front_end
from edgehar.signal.features import FAMILIES

TWO = tuple(Channel(f"{device}_{c.name}", c.unit) for device in ("phone", "watch") for c in IMU_CHANNELS)


def names(choice, channels=IMU_CHANNELS):
    front_end = default_front_end(channels)
    return [front_end.names[i] for i in choice.of(front_end, channels, 32).columns]


def test_all_columns_unless_told_otherwise():
    assert names(InputChoice("window")) == list(default_front_end(IMU_CHANNELS).names)


def test_a_sensor_brings_every_column_made_of_it():
    assert names(InputChoice("a", sensors=("gyro",))) == [f"slog_gyro_{axis}" for axis in "xyz"]
    assert {n.rpartition("_")[0] for n in names(InputChoice("a", sensors=("acc",)))} == {"acc", "slog_diff_acc"}


def test_devices_and_sensors_narrow_each_other():
    assert len(names(InputChoice("a", devices=("watch",)), TWO)) == 9
    assert names(InputChoice("a", devices=("watch",), sensors=("gyro",)), TWO) == [
        f"slog_watch_gyro_{axis}" for axis in "xyz"
    ]
    assert names(InputChoice("a", sensors=("watch_gyro",)), TWO) == [f"slog_watch_gyro_{axis}" for axis in "xyz"]


def test_columns_keep_the_order_they_are_named_in():
    assert names(InputChoice("a", columns=("slog_gyro_z", "acc_x"))) == ["slog_gyro_z", "acc_x"]


def test_features_of_some_families_standardized_to_what_they_were_fitted_on():
    front_end = default_front_end(IMU_CHANNELS)
    windows = front_end.run(np.random.default_rng(0).normal(size=(50, 32, 6)).astype(np.float32))
    chosen = InputChoice("f", "features", sensors=("acc",), families=("order", "moments")).of(
        front_end, IMU_CHANNELS, 32
    )
    assert chosen.features.families == ("order", "moments")
    assert chosen.features.groups == ((0, 1, 2), (3, 4, 5))
    fitted = chosen.fitted(windows).tensor(windows)
    assert np.abs(fitted.mean(axis=0)).max() < 0.1
    whole = InputChoice("f", "features").of(front_end, IMU_CHANNELS, 32)
    assert whole.features.families == tuple(FAMILIES)
    window = InputChoice("window").of(front_end, IMU_CHANNELS, 32)
    assert window.fitted(windows) is window


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "picture"}, "kind is 'picture', expected window, features"),
        ({"families": ("order",)}, "families belong to an input of kind 'features'"),
        ({"kind": "features", "families": ("colour",)}, "'colour' is not there; there are moments, order"),
        ({"sensors": ("mag",)}, "sensor 'mag' is not there; there are acc, gyro"),
        ({"devices": ("watch",)}, "device 'watch' is not there; there are none: one device is worn"),
        ({"columns": ("acc_w",)}, "column 'acc_w' is not there; there are acc_x"),
        ({"columns": ("acc_x",), "sensors": ("gyro",)}, "no column is all that is asked"),
        ({"name": "left arm"}, "expected letters, digits and _"),
    ],
)
def test_a_wrong_name_is_told_the_right_ones(fields, message):
    with pytest.raises(ValueError, match=message):
        names(InputChoice(**{"name": "a"} | fields))
