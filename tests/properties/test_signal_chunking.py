"""The front end's contract: whole recording == any chunking == sample by sample, exactly, with no look-ahead."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt, sosfilt_zi

from edgehar.recording import IMU_CHANNELS
from edgehar.signal import Biquad, Difference, FrontEnd, LinearResampler, SignedLog, default_front_end, signed_log

SECTIONS = tuple(tuple(float(v) for v in np.r_[s[:3], s[4:]]) for s in butter(4, 0.3, "high", fs=50, output="sos"))
FILTERED = FrontEnd(
    channels=("acc_x", "acc_y", "acc_z"),
    select=(0, 1, 2, 2, 0),
    gain=(1.0, -1.0, 0.1, 1.0, 1.0),
    steps=(
        Biquad(columns=(0, 1), sections=SECTIONS),
        Difference(columns=(3, 4)),
        SignedLog(columns=(0, 3), scale=(0.005, 0.02)),
    ),
    names=("hp_x", "hp_y", "z", "slog_dz", "dx"),
)


def _fronts():
    default = default_front_end(IMU_CHANNELS)
    x = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    return {"default": default, "fitted": default.fitted(default.run(x)), "filtered": FILTERED}


FRONTS = _fronts()


def _bits(x):
    return np.ascontiguousarray(x).view(np.int32)


def _samples(front_end, length, seed):
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.uniform(-4, 1, (length, len(front_end.channels)))
    return (rng.normal(size=size.shape) * size).astype(np.float32)


@pytest.mark.parametrize("name", FRONTS)
@settings(deadline=None, max_examples=40)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_any_chunking_gives_the_same_bits(name, data, seed):
    front_end = FRONTS[name]
    length = data.draw(st.integers(1, 150))
    cuts = sorted(data.draw(st.lists(st.integers(0, length), max_size=12)))
    x = _samples(front_end, length, seed)
    whole = front_end.run(x)
    stream = front_end.stream()
    parts = [stream.push(x[a:b]) for a, b in zip([0, *cuts], [*cuts, length], strict=True)]
    assert np.array_equal(_bits(np.concatenate(parts)), _bits(whole))


@pytest.mark.parametrize("name", FRONTS)
def test_sample_by_sample_and_batched_give_the_same_bits(name):
    front_end = FRONTS[name]
    x = _samples(front_end, 300, 1)
    whole = front_end.run(x)
    stream = front_end.stream()
    assert np.array_equal(_bits(np.concatenate([stream.push(x[i : i + 1]) for i in range(300)])), _bits(whole))
    assert np.array_equal(_bits(front_end.run(np.stack([x, x[::-1]]))[0]), _bits(whole))


@pytest.mark.parametrize("name", FRONTS)
def test_no_look_ahead(name):
    front_end = FRONTS[name]
    x = _samples(front_end, 200, 2)
    changed = x.copy()
    changed[120:] += 5
    assert np.array_equal(_bits(front_end.run(x)[:120]), _bits(front_end.run(changed)[:120]))


@pytest.mark.parametrize("name", FRONTS)
def test_reset_equals_fresh_and_the_input_is_left_alone(name):
    front_end = FRONTS[name]
    x = _samples(front_end, 100, 3)
    before = x.copy()
    stream = front_end.stream()
    first = stream.push(x)
    stream.reset()
    assert np.array_equal(_bits(stream.push(x)), _bits(first))
    assert np.array_equal(x, before)


@settings(max_examples=200)
@given(st.floats(-1000, 1000, width=32), st.floats(1e-3, 10))
def test_signed_log_is_the_logarithm(x, scale):
    inverse = np.float32(1) / np.float32(scale)
    found = signed_log(np.float32([x]), inverse)[0]
    exact = np.sign(x) * np.log1p(abs(x) * float(inverse))
    assert abs(found - exact) <= 1.2e-6
    assert signed_log(np.float32([-x]), inverse)[0] == -found


def test_signed_log_does_not_depend_on_neighbours_or_memory_layout():
    x = _samples(FRONTS["default"], 257, 4)
    inverse = np.float32(200)
    whole = signed_log(x, inverse)
    assert np.array_equal(_bits(signed_log(np.asfortranarray(x), inverse)), _bits(whole))
    assert np.array_equal(_bits(signed_log(np.ascontiguousarray(x[::3]), inverse)), _bits(whole[::3]))


def test_biquad_is_the_filter_it_says():
    x = (_samples(FILTERED, 500, 5)[:, :2] + np.float32(1)).astype(np.float32)
    y, _ = Biquad(columns=(0, 1), sections=SECTIONS).apply(x.T, None)
    y = y.T
    sos = butter(4, 0.3, "high", fs=50, output="sos")
    expected, _ = sosfilt(sos, x.astype(np.float64), axis=0, zi=sosfilt_zi(sos)[:, :, None] * x[0].astype(np.float64))
    assert np.abs(y - expected).max() < 2e-4  # float32 state of a 0.3 Hz filter


def test_unstable_biquad_is_refused():
    with pytest.raises(ValueError, match="not stable"):
        Biquad(columns=(0,), sections=((1, 0, 0, -2.1, 1.1),))


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 200), st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_resampler_is_chunk_independent_and_interpolates(length, seed, chunk):
    rng = np.random.default_rng(seed)
    t = np.cumsum(rng.uniform(0.001, 0.05, length))
    x = rng.normal(size=(length, 2)).astype(np.float32)
    whole = LinearResampler(50).push(t, x)
    stream = LinearResampler(50)
    parts = [stream.push(t[i : i + chunk], x[i : i + chunk]) for i in range(0, length, chunk)]
    assert np.array_equal(np.concatenate(parts), whole)
    grid = t[0] + np.arange(len(whole)) / 50
    expected = np.stack([np.interp(grid, t, x[:, c]) for c in range(2)], axis=1)
    assert np.abs(whole - expected).max() < 1e-4
    assert grid[-1] <= t[-1] + 1e-6 < grid[-1] + 0.0201


def test_resampler_refuses_time_going_back():
    with pytest.raises(ValueError, match="must increase"):
        LinearResampler(50).push(np.array([0.0, 0.02, 0.02]), np.zeros((3, 1), np.float32))


def test_front_end_round_trips_through_json():
    for front_end in FRONTS.values():
        assert FrontEnd.from_dict(front_end.to_dict()) == front_end
    with pytest.raises(ValueError, match="unknown step 'median'"):
        FrontEnd.from_dict({**FILTERED.to_dict(), "steps": [{"op": "median", "columns": [0]}]})
