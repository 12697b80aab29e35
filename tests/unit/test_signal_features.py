"""Window features: values worked out by hand, and every formula again as a C compiler would read its docstring."""

import json
import math

import numpy as np
import pytest

from edgehar.signal import signed_log
from edgehar.signal.features import FAMILIES, WindowFeatures, default_window_features
from edgehar.signal.features.spectrum import tables

F = np.float32
COLUMNS = ("acc_x", "acc_y", "acc_z", "light")
T = 40


def features_of(x, families=tuple(FAMILIES), groups=()):
    spec = WindowFeatures(x.shape[-2], tuple("abcdef"[: x.shape[-1]]), groups, families)
    return dict(zip(spec.names, spec.run(x.astype(np.float32)).tolist(), strict=True))


def test_statistics_by_hand():
    x = np.tile([0.0, 1.0, 0.0, 3.0], 4)[:, None]
    found = features_of(x, ("moments", "order", "changes"))
    assert found["mean_a"] == 1.0
    assert found["log_std_a"] == pytest.approx(math.log1p(math.sqrt(1.5) / 0.005), abs=1e-5)
    assert found["log_mad_a"] == pytest.approx(math.log1p(1.0 / 0.005), abs=1e-5)
    assert [found[f"{name}_a"] for name in ("min", "q25", "median", "q75", "max")] == [0, 0, 1, 3, 3]
    # below the mean only at the zeros: every one of the 15 steps crosses, as 1 counts as above
    assert found["crossings_a"] == 1.0
    squares = 4 * (1 + 1 + 9) + 3 * 9
    assert found["log_jerk_a"] == pytest.approx(math.log1p(math.sqrt(squares / 15) / 0.005), abs=1e-5)


def test_a_sine_is_found_in_spectrum_and_autocorrelation():
    t = np.arange(128)
    x = np.stack([2 * np.sin(2 * np.pi * 5 * t / 128), np.cos(2 * np.pi * 5 * t / 128)], axis=1)
    found = features_of(x, ("autocorrelation", "spectrum"))
    assert found["peak_bin_a"] == pytest.approx(5 / 31)
    assert found["log_band2_a"] == pytest.approx(math.log1p(2 / 0.005), abs=1e-4)  # the octave of bins 4 to 7
    assert found["log_band1_a"] < 0.01
    assert found["entropy_a"] < 0.001
    assert found["period_a"] == pytest.approx(26 / 128)  # 25.6 samples, lags are even
    assert found["repeat_a"] == pytest.approx(102 / 128, abs=0.02)


def test_entropy_of_noise_is_that_of_even_shares():
    x = np.zeros((128, 1))
    x[7] = 1  # an impulse: all bins alike
    assert features_of(x, ("spectrum",))["entropy_a"] == pytest.approx(math.log(31), abs=1e-4)


def test_magnitude_and_correlation_by_hand():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3))
    found = features_of(x, ("moments", "correlations"), ((0, 1, 2),))
    assert found["mean_norm_a"] == pytest.approx(np.linalg.norm(x, axis=1).mean(), rel=1e-5)
    assert found["correlation_a_c"] == pytest.approx(np.corrcoef(x.T)[0, 2], abs=1e-5)
    x[:, 1] = -2 * x[:, 0]
    assert features_of(x, ("correlations",), ((0, 1),))["correlation_a_b"] == pytest.approx(-1, abs=1e-5)


def fold(values):
    v, n = [F(value) for value in values], len(values)
    while n > 1:
        h = (n + 1) // 2
        for i in range(n - h):
            v[i] = v[i] + v[h + i]
        n = h
    return v[0]


def log(value):
    return signed_log(np.array([value], np.float32), F(1) / F(0.005))[0]


def scalar_features(x):
    """One series, one scalar operation after the other, as firmware would do it."""
    w = F(1 / T)
    mean = fold(x) * w
    c = [v - mean for v in x]
    square_sum = fold([v * v for v in c])
    out = {"mean": mean, "log_std": log(np.sqrt(square_sum * w)), "log_mad": log(fold([abs(v) for v in c]) * w)}
    ordered = sorted(x)
    places = zip(("min", "q25", "median", "q75", "max"), (0, T // 4, T // 2, 3 * T // 4, T - 1), strict=True)
    out |= {name: ordered[place] + F(0) for name, place in places}
    w1 = F(1 / (T - 1))
    out["crossings"] = F(sum((c[t] >= 0) != (c[t - 1] >= 0) for t in range(1, T))) * w1
    steps = [x[t] - x[t - 1] for t in range(1, T)]
    out["log_jerk"] = log(np.sqrt(fold([s * s for s in steps]) * w1))
    padded = c + [F(0)] * T
    out["repeat"], out["period"] = F(-np.inf), F(0)
    for lag in range(T // 8, T // 2 + 1, 2):
        r = fold([c[t] * padded[t + lag] for t in range(T)]) / (square_sum + F(1e-9))
        if r > out["repeat"]:
            out["repeat"], out["period"] = r, F(lag) * w
    cos, sin = tables(T)
    power = []
    for k in range(cos.shape[1]):
        real, imaginary = (fold([c[t] * table[t, k] for t in range(T)]) for table in (cos, sin))
        power.append(real * real + imaginary * imaginary)
    for b in range(4):
        out[f"log_band{b}"] = log(np.sqrt(fold(power[2**b - 1 : 2 ** (b + 1) - 1])) * F(2 / T))
    out["peak_bin"] = F(power.index(max(power)) + 1) * F(1 / len(power))
    total, one = fold(power) + F(1e-9), F(1)
    shares = [max(p / total, F(1e-6)) for p in power]
    out["entropy"] = fold([s * signed_log(np.array([one / s - one], np.float32), one)[0] for s in shares])
    return out


def test_one_scalar_operation_after_the_other_gives_the_same_bits():
    x = np.random.default_rng(1).normal(0.3, 1, (T, 4)).astype(np.float32)
    spec = default_window_features(COLUMNS, T)
    assert spec.groups == ((0, 1, 2),)
    found = dict(zip(spec.names, spec.run(x), strict=True))
    squares = [[v * v for v in row[:3]] for row in x]
    series = {name: list(x[:, i]) for i, name in enumerate(COLUMNS)}
    series["norm_acc"] = [np.sqrt((a + b) + c) for a, b, c in squares]
    expected = {f"{f}_{name}": v for name, values in series.items() for f, v in scalar_features(values).items()}
    centred = {name: [v - fold(values) * F(1 / T) for v in values] for name, values in series.items()}
    for a, b in ((0, 1), (0, 2), (1, 2)):
        one, other = centred[COLUMNS[a]], centred[COLUMNS[b]]
        lengths = [np.sqrt(fold([v * v for v in c])) for c in (one, other)]
        products = [p * q for p, q in zip(one, other, strict=True)]
        expected[f"correlation_{COLUMNS[a]}_{COLUMNS[b]}"] = fold(products) / (lengths[0] * lengths[1] + F(1e-9))
    assert set(found) == set(expected)
    assert {n: v for n, v in found.items() if v.tobytes() != F(expected[n]).tobytes()} == {}


@pytest.mark.parametrize("level", [0.0, -0.0, 1.1, -3e38, 1e-30])
def test_constant_windows_give_finite_features(level):
    spec = default_window_features(COLUMNS, 50)
    found = spec.run(np.full((50, 4), level, np.float32))
    assert np.isfinite(found).all()
    by_name = dict(zip(spec.names, found.tolist(), strict=True))
    assert by_name["crossings_acc_x"] == 0
    assert by_name["correlation_acc_x_acc_y"] < 1e-3 or abs(level) > 1e30


def test_absurd_samples_saturate():
    x = np.random.default_rng(0).choice([-3e38, 3e38, 0, 1], (3, 64, 4)).astype(np.float32)
    assert np.isfinite(default_window_features(COLUMNS, 64).run(x)).all()


def test_standardization_and_description():
    windows = np.random.default_rng(0).normal(size=(200, T, 4)).astype(np.float32)
    raw = default_window_features(COLUMNS, T)
    spec = raw.fitted(windows)
    found = spec.run(windows)
    assert np.abs(found).max() <= 4
    assert np.abs(found.mean(axis=0)).max() < 0.05
    once = np.float32(1)
    expected = (raw.run(windows) - np.array(spec.mean, np.float32)) * (np.array(spec.inv_std, np.float32) * once)
    assert np.array_equal(found, np.clip(expected, -4, 4))
    assert WindowFeatures.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert spec.fitted(windows) == spec
    assert len(set(spec.names)) == spec.width == found.shape[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 8}, "8 samples, expected 16"),
        ({"columns": ()}, "expected different names"),
        ({"groups": ((0, 4),)}, "outside columns 0..3"),
        ({"families": ("order", "shapes")}, "expected some of moments"),
        ({"mean": (1.0,)}, "1 means and 0 inv_std"),
    ],
)
def test_a_wrong_description_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        WindowFeatures(**{"window": T, "columns": COLUMNS, **change})


def test_a_malformed_dictionary_and_a_wrong_window_are_refused():
    spec = default_window_features(COLUMNS, T)
    with pytest.raises(ValueError, match="malformed description"):
        WindowFeatures.from_dict({**spec.to_dict(), "more": [1]})
    with pytest.raises(ValueError, match="malformed description"):
        WindowFeatures.from_dict({"window": T})
    with pytest.raises(ValueError, match=r"expected \[\.\.\., 40, 4\]"):
        spec.run(np.zeros((T, 3), np.float32))
