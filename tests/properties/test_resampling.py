"""Time-stamped samples to a steady rate: Python against compiled C, against whole recordings, against its own rules."""

from __future__ import annotations

import ctypes
import tempfile
from dataclasses import asdict, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from c_cases import STRICT, compilers
from device_fixtures import make_tiny_bundle, synthetic_recording
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.device import Device
from device_sim.engines import open_engine
from device_sim.resampling import Resampler
from device_sim.stamped import Stamped
from edgehar.c_compiler import FLAGS, shared_library
from edgehar.c_pipeline import aligned, decision_type, firmware_files, pointer
from edgehar.signal import LinearResampler
from edgehar.signal.grid import GAP_US, grid_of
from firmware_export.targets.c.firmware import _template

RATES = [50.0, 26.0, 12.5, 104.17, 200.0]
DRIVER = "driver.c"
SOURCE = b"""
#include "har_resample.h"

const uint32_t sizes[] = {sizeof(har_context), sizeof(har_resampler), sizeof(har_decision)};

void start(har_resampler *r)
{
    har_resample_init(r);
}

/* The resampler alone: grid points to steady, their number to which sample to counts; what each push said to says. */
void resample(har_resampler *r, const float *samples, const uint32_t *t_us, int64_t count, float *steady,
              int32_t *counts, int32_t *says)
{
    for (int64_t i = 0; i < count; i++) {
        says[i] = har_resample_push(r, samples + HAR_CHANNELS * i, t_us[i]);
        counts[i] = 0;
        while (har_resample_next(r, steady)) {
            steady += HAR_CHANNELS;
            counts[i]++;
        }
    }
}

void dropped(const har_resampler *r, uint32_t found[4])
{
    found[0] = r->late;
    found[1] = r->duplicates;
    found[2] = r->interpolated;
    found[3] = r->breaks;
}
"""
PIPELINE = b"""
/* Resampler and pipeline; returns how many decisions there were. */
int64_t decide(har_context *ctx, har_resampler *r, const float *samples, const uint32_t *t_us, int64_t count,
               har_decision *decisions)
{
    int64_t decided = 0;
    for (int64_t i = 0; i < count; i++) {
        float steady[HAR_CHANNELS];
        har_event event;
        if (har_resample_push(r, samples + HAR_CHANNELS * i, t_us[i]) == HAR_RESAMPLE_BREAK) {
            har_reset(ctx);
        }
        while (har_resample_next(r, steady)) {
            har_push(ctx, steady, t_us[i] / 1000, &event);
            if (har_decided(ctx) != NULL) {
                decisions[decided++] = *har_decided(ctx);
            }
        }
    }
    return decided;
}
"""


@cache
def bundle():
    with tempfile.TemporaryDirectory() as folder:
        made = make_tiny_bundle(Path(folder))
        return made, firmware_files(made), open_engine("litert_ref", made)


@cache
def library(rate_hz=None, compiler="cc"):
    """The header of a rate by itself; without one, the whole firmware of the tiny bundle."""
    kept = (".c", ".h") if rate_hz is None else (".h",)
    files = {name: data for name, data in bundle()[1].items() if name.endswith(kept) and name != "example_main.c"}
    if rate_hz is None:
        files[DRIVER] = b"#include <stddef.h>\n" + SOURCE + PIPELINE
    else:
        files[DRIVER] = SOURCE
        files["har_resample.h"] = _template("har_resample.h", {"origin": "", **asdict(grid_of(rate_hz))})
    return ctypes.CDLL(str(shared_library(compilers()[compiler], files, (*FLAGS, *STRICT))))


def resampled_in_c(rate_hz, chunk, compiler="cc"):
    found = library(rate_hz, compiler)
    sizes = (ctypes.c_uint32 * 3).in_dll(found, "sizes")
    state = aligned(sizes[1])
    found.start(pointer(state))
    most = len(chunk) * (2 + round(GAP_US * 1e-6 * rate_hz))
    steady = np.zeros((most, 6), np.float32)
    counts, says = np.zeros(len(chunk), np.int32), np.zeros(len(chunk), np.int32)
    stamps = (chunk.t_us % 2**32).astype(np.uint32)
    found.resample(
        *(pointer(state), pointer(chunk.samples), pointer(stamps), ctypes.c_int64(len(chunk))),
        *(pointer(steady), pointer(counts), pointer(says)),
    )
    numbers = np.zeros(4, np.uint32)
    found.dropped(pointer(state), pointer(numbers))
    breaks = (np.cumsum(counts) - counts)[says == 2]
    return steady[: counts.sum()], tuple(breaks.tolist()), numbers.tolist()


def counts_of(resampler):
    return [resampler.late, resampler.duplicates, resampler.interpolated, resampler.breaks]


def random_chunk(rng, rate_hz, count):
    """Steps of every kind: steady, jittered, zero, back, gaps, bursts, a clock that is set, one that wraps."""
    period = 1e6 / rate_hz
    kinds = [
        lambda: rng.normal(period, 0.2 * period),
        lambda: 0,
        lambda: rng.integers(1, 40),
        lambda: -rng.integers(1, 5 * period),
        lambda: rng.integers(period, GAP_US + 1),
        lambda: rng.choice([GAP_US - 1, GAP_US, GAP_US + 1, -GAP_US, -GAP_US - 1, round(period)]),
        lambda: rng.integers(-(2**31), 2**31),
    ]
    weights = np.array([60, 4, 4, 4, 4, 1, 1], float)
    steps = [round(float(kinds[k]())) for k in rng.choice(len(kinds), count, p=weights / weights.sum())]
    samples = rng.normal(size=(count, 6)).astype(np.float32) * np.float32(10.0 ** rng.integers(-3, 8))
    samples[rng.random(samples.shape) < 0.01] = rng.choice(np.float32([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38]))
    first = int(rng.choice([0, 5, 2**31 - 100, 2**32 - 100, 2**40]))
    return Stamped(first + np.cumsum(np.array(steps, np.int64)), samples)


def same_bits(found, expected):
    """NaN have no sign that matters: the device replaces them."""
    return np.array_equal(np.isnan(found), np.isnan(expected)) and np.array_equal(
        np.nan_to_num(found).view(np.int32), np.nan_to_num(expected).view(np.int32)
    )


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.sampled_from(RATES), st.integers(0, 2**32), st.integers(1, 700))
def test_c_computes_the_same_bits(rate_hz, seed, count):
    chunk = random_chunk(np.random.default_rng(seed), rate_hz, count)
    resampler = Resampler(rate_hz)
    steady = resampler.push(chunk)
    samples, breaks, numbers = resampled_in_c(rate_hz, chunk)
    assert same_bits(steady.samples, samples)
    assert steady.breaks == breaks
    assert counts_of(resampler) == numbers


def test_clang_computes_them_too():
    for seed in range(20):
        chunk = random_chunk(np.random.default_rng(seed), 26.0, 500)
        found, expected = (resampled_in_c(26.0, chunk, compiler) for compiler in ("zig", "cc"))
        assert same_bits(found[0], expected[0])
        assert found[1:] == expected[1:]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(RATES), st.integers(0, 2**32), st.lists(st.integers(0, 60), min_size=1, max_size=9))
def test_any_chunking_gives_the_same(rate_hz, seed, cuts):
    chunk = random_chunk(np.random.default_rng(seed), rate_hz, sum(cuts) + 1)
    whole, cut = Resampler(rate_hz), Resampler(rate_hz)
    expected = whole.push(chunk)
    edges = [0, *np.cumsum(cuts).tolist(), len(chunk)]
    parts, breaks = [], []
    for start, stop in pairwise(edges):
        part = cut.push(Stamped(chunk.t_us[start:stop], chunk.samples[start:stop]))
        breaks += [sum(map(len, parts)) + b for b in part.breaks]
        parts.append(part)
    for name in ("samples", "left", "right", "weight"):
        found = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(found, getattr(expected, name), equal_nan=True)
    assert tuple(breaks) == expected.breaks
    assert counts_of(cut) == counts_of(whole)


@pytest.mark.parametrize("rate_hz", RATES)
def test_samples_on_the_grid_pass_unchanged(rate_hz):
    samples = synthetic_recording(400).samples
    grid = grid_of(rate_hz)
    stamps = np.arange(400) * grid.period_ticks / grid.ticks_per_us
    whole = stamps == np.rint(stamps)
    resampler = Resampler(rate_hz)
    steady = resampler.push(Stamped(np.rint(stamps).astype(np.int64), samples))
    assert len(steady) in (399, 400)  # a stamp rounded down may leave the last point to the next sample
    assert np.array_equal(steady.samples[whole[: len(steady)]], samples[: len(steady)][whole[: len(steady)]])
    assert np.allclose(steady.samples, samples[: len(steady)], atol=1e-3)  # half a microsecond of a period
    assert counts_of(resampler) == [0, 0, 0, 0]


def test_it_is_linear_interpolation():
    """As the float64 resampler of imports, to float32 rounding."""
    rng = np.random.default_rng(3)
    stamps = np.cumsum(rng.integers(2_000, 45_000, 500))
    samples = rng.normal(size=(500, 6)).astype(np.float32)
    steady = Resampler(50.0).push(Stamped(stamps, samples))
    expected = LinearResampler(50.0).push(stamps / 1e6, samples)
    assert len(steady) == len(expected)
    assert np.allclose(steady.samples, expected, atol=1e-6)


def test_rows_say_where_a_grid_point_comes_from():
    chunk = random_chunk(np.random.default_rng(11), 50.0, 3000)
    steady = Resampler(50.0).push(chunk)
    t = chunk.t_us.astype(np.float64)
    at = t[steady.left] + steady.weight * (t[steady.right] - t[steady.left])
    edges = [0, *steady.breaks, len(steady)]
    assert len(edges) > 5
    for start, stop in pairwise(edges):
        assert np.allclose(np.diff(at[start:stop]) % 2**32, 20_000, atol=0.2)


def test_what_is_dropped_bridged_and_broken():
    ms = [0, 20, 20, 40, 30, 100, 1100, 2101, 2121, 21, 41]
    resampler = Resampler(50.0)
    steady = resampler.push(Stamped(1000 * np.array(ms, np.int64), np.arange(11, dtype=np.float32)[:, None]))
    # 0 20 40 | 60 80 100 | 120 ... 1100 | break 2101 2121 | break 21 41
    assert counts_of(resampler) == [1, 1, 2 + 49, 2]
    assert steady.breaks == (56, 58)
    assert steady.samples[:6, 0].tolist() == [0, 1, 3, *(np.float32(3) + np.float32(2) * np.float32([1 / 3, 2 / 3])), 5]
    assert steady.samples[56:, 0].tolist() == [7, 8, 9, 10]
    resampler.reset()
    assert counts_of(resampler) == [0, 0, 0, 0]
    assert resampler.push(Stamped(np.array([7], np.int64), np.ones((1, 1), np.float32))).samples.tolist() == [[1]]


@pytest.mark.parametrize("seed", range(3))
def test_resampler_and_pipeline_in_c_are_the_python_device(seed):
    made, _, engine = bundle()
    rng = np.random.default_rng(seed)
    samples = synthetic_recording(3000, seed).samples
    steps = rng.normal(20_000, 3_000, 3000)
    steps[rng.random(3000) < 0.03] *= -1
    steps[rng.random(3000) < 0.005] = 1_100_000
    chunk = Stamped(np.cumsum(np.rint(steps)).astype(np.int64), samples)
    device, steady = Device(made, engine), Resampler(50.0).push(chunk)
    edges = [0, *steady.breaks, len(steady)]
    assert len(edges) > 4
    expected = []
    for start, stop in pairwise(edges):
        device.reset()
        expected += device.run(steady.samples[start:stop])

    found = library()
    sizes = (ctypes.c_uint32 * 3).in_dll(found, "sizes")
    context, state = aligned(sizes[0]), aligned(sizes[1])
    found.har_init(pointer(context))
    found.start(pointer(state))
    decisions = np.zeros(len(expected) + 1, decision_type(made.manifest.heads))
    found.decide.restype = ctypes.c_int64
    stamps = (chunk.t_us % 2**32).astype(np.uint32)
    count = found.decide(
        *(pointer(context), pointer(state), pointer(samples), pointer(stamps), ctypes.c_int64(len(samples))),
        pointer(decisions),
    )
    assert count == len(expected) > 100
    assert decisions["start"][:count].tolist() == [d.start for d in expected]
    for name, said in (("logits", "outputs"), ("probability", "probabilities")):
        assert decisions["head_0"][name][:count].tobytes() == np.array([getattr(d, said) for d in expected]).tobytes()


def test_stamps_and_rates_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="rate_hz"):
        Resampler(0.0)
    for gap_us in (0, -5, 2**31):
        with pytest.raises(ValueError, match=r"less than 2\^31"):
            Resampler(50.0, gap_us)
    assert grid_of(2.0).gap_us == 2_000_000
    good = Stamped(np.zeros(2, np.int64), np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="expected \\[N\\]"):
        replace(good, t_us=np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="int64 and float32"):
        replace(good, t_us=np.zeros(2))
