"""Histograms against numpy, deadlines, and the real-time clock on a fake time source."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from device_fixtures import make_tiny_bundle, synthetic_recording

from device_sim.clock import RealTimeClock
from device_sim.device import Device
from device_sim.engines import open_engine
from device_sim.host_noise import measure_host_noise
from device_sim.telemetry import PERCENTILES, RELATIVE_ERROR, Histogram, Telemetry


@pytest.mark.parametrize("scale_ns", [30, 20_000, 5_000_000_000])
def test_percentiles_are_within_the_stated_error(scale_ns):
    values = np.random.default_rng(1).lognormal(np.log(scale_ns), 1.0, 20_001).astype(np.int64)
    histogram = Histogram()
    for value in values.tolist():
        histogram.record(value)
    for percent in PERCENTILES.values():
        exact = np.percentile(values, percent, method="inverted_cdf") / 1000
        assert histogram.percentile_us(percent) == pytest.approx(exact, rel=RELATIVE_ERROR, abs=0.0005)
    assert histogram.max_ns == values.max()
    assert histogram.count == len(values)


def test_every_duration_falls_into_its_bucket():
    for value in [0, 1, 63, 64, 127, 128, 129, 255, 256, 10**6, 2**46 - 1]:
        histogram = Histogram()
        histogram.record(value)
        assert histogram.percentile_us(50) * 1000 == pytest.approx(value, rel=RELATIVE_ERROR)
    histogram.record(-5)
    histogram.record(2**60)  # beyond the last bucket: counted, and the maximum is exact
    assert histogram.count == 3
    assert histogram.summary_us()["max"] == 2**60 / 1000


def test_an_empty_histogram_and_a_compact_one():
    histogram = Histogram()
    assert histogram.percentile_us(99) == 0
    assert histogram.compact_us() == {"edges": [], "counts": []}
    for value in (1000, 1001, 1500, 9000):
        histogram.record(value)
    compact = histogram.compact_us()
    assert sum(compact["counts"]) == 4
    assert len(compact["edges"]) == len(compact["counts"]) + 1
    assert compact["counts"][0] > 0 < compact["counts"][-1]
    assert compact["edges"][0] <= 1.0
    assert compact["edges"][-1] > 9.0
    histogram.reset()
    assert histogram.count == histogram.max_ns == 0


def test_histograms_add_up_and_survive_being_written():
    rng = np.random.default_rng(3)
    values = np.exp(rng.normal(12, 2, 500)).astype(np.int64).tolist()
    whole, first, second = Histogram(), Histogram(), Histogram()
    for i, value in enumerate(values):
        whole.record(value)
        (first if i < 200 else second).record(value)
    first.add(second)
    assert first.buckets_ns() == whole.buckets_ns()
    assert first.summary_us() == whole.summary_us()
    assert whole.total_ns == sum(values)
    assert whole.summary_us()["mean"] == pytest.approx(np.mean(values) / 1000, abs=0.001)
    again = Histogram.of_buckets_ns(json.loads(json.dumps(whole.buckets_ns())))
    assert again.buckets_ns() == whole.buckets_ns()
    assert again.summary_us() == whole.summary_us()
    assert Histogram.of_buckets_ns(Histogram().buckets_ns()).count == 0
    often = Histogram()
    often.record(1500, times=3)
    assert (often.count, often.total_ns, often.percentile_us(99)) == (3, 4500, pytest.approx(1.5, rel=RELATIVE_ERROR))


@pytest.mark.parametrize(
    "buckets",
    [
        {},
        {"lows": [5], "counts": [], "max": 5, "total": 5},
        {"lows": [129], "counts": [1], "max": 200, "total": 200},  # between 128 and 130
        {"lows": [5], "counts": [0], "max": 5, "total": 5},
        {"lows": [5], "counts": [1.5], "max": 5, "total": 5},
        {"lows": [64], "counts": [1], "max": 5, "total": 64},
        {"lows": [5], "counts": [1], "max": None, "total": 5},
    ],
)
def test_malformed_buckets_are_refused(buckets):
    with pytest.raises(ValueError, match="malformed"):
        Histogram.of_buckets_ns(buckets)


def test_the_first_decisions_are_kept_apart():
    telemetry = Telemetry(0.02, 1.28, warm_up_decisions=2)
    for milliseconds in (9, 7, 1, 1, 1):
        telemetry.stages["engine"].record(milliseconds * 1_000_000)
        telemetry.stages["sample"].record(1000)
        telemetry.record_push("total", milliseconds * 1_000_000)
    assert telemetry.decisions == 5
    assert [telemetry.warm_up[s].count for s in ("engine", "sample", "total")] == [2, 2, 2]
    assert telemetry.steady["total"].max_ns == telemetry.steady["engine"].max_ns == 1_000_000
    whole = telemetry.summary_us()["total"]
    assert (whole["count"], whole["max"], whole["mean"]) == (5, 9000.0, 3800.0)
    assert telemetry.busy_ns(65) == pytest.approx(3_800_000 + 64 * 1000)
    telemetry.reset()
    assert telemetry.stages is telemetry.warm_up
    assert telemetry.busy_ns(65) is None
    assert Telemetry(0.02, 1.28, warm_up_decisions=0).stages is not telemetry.warm_up


def test_warm_up_ends_with_the_response_of_its_last_decision():
    telemetry = Telemetry(0.02, 1.28, "response", warm_up_decisions=1)
    for _ in range(2):
        telemetry.record_push("response", 1)
        telemetry.record_push("total", 1)
        telemetry.record_push("response", 1)
    assert (telemetry.warm_up["response"].count, telemetry.steady["response"].count) == (2, 2)


def test_host_noise_is_what_an_idle_loop_loses(monkeypatch):
    begin = time.perf_counter()
    noise = measure_host_noise(0.01)
    took = time.perf_counter() - begin
    assert 0.01e9 <= noise.total_ns <= took * 1e9
    assert 0 < noise.percentile_us(50) <= noise.percentile_us(99) <= noise.max_ns / 1000
    stamps = iter([0, 100, 200, 5_000_300, 5_000_400, 20_000_000])
    monkeypatch.setattr("device_sim.host_noise.clock_ns", lambda: next(stamps))
    made = measure_host_noise(0.02)
    assert (made.count, made.max_ns, made.percentile_us(50)) == (5, 14_999_600, pytest.approx(0.1, rel=0.01))


def test_deadlines_are_held_against_both_periods():
    telemetry = Telemetry(0.02, 1.28)
    for milliseconds in (1, 20, 21, 1280, 1281):
        telemetry.record_push("total", milliseconds * 1_000_000)
    telemetry.record_push("response", 10**10)
    assert (telemetry.deadline_misses, telemetry.deadline_misses_hop) == (3, 1)
    telemetry.reset()
    assert telemetry.deadline_misses == telemetry.whole("total").count == 0
    with pytest.raises(ValueError, match="deadline_stage"):
        Telemetry(0.02, 1.28, "nothing")


class FakeTime:
    """A host whose sleeps are 1 ms too long."""

    def __init__(self):
        self.ns = 1_000

    def now_ns(self):
        return self.ns

    def sleep(self, seconds):
        assert seconds > 0
        self.ns += round(seconds * 1e9) + 1_000_000


def test_the_real_time_clock_keeps_absolute_deadlines(tmp_path):
    bundle = make_tiny_bundle(tmp_path)
    telemetry = Telemetry(0.02, 0.32, "response")
    device = Device(bundle, open_engine("litert_ref", bundle), telemetry)
    samples = synthetic_recording(100).samples
    fake = FakeTime()
    clock = RealTimeClock(50, fake.now_ns, fake.sleep)
    batches = list(clock.replay(device, samples))
    assert fake.ns == 1_000 + 99 * 20_000_000 + 1_000_000  # late by one sleep, not by 99: no drift
    assert telemetry.stages["wake_up"].max_ns == 1_000_000
    assert telemetry.stages["response"].count == 100
    assert telemetry.deadline_misses == 0
    offline = Device(bundle, open_engine("litert_ref", bundle))
    assert [b.outputs[0].tolist() for b in batches] == [d.outputs.tolist() for d in offline.run(samples)]


def test_a_slow_push_makes_later_responses_late_too(tmp_path):
    bundle = make_tiny_bundle(tmp_path)
    telemetry = Telemetry(0.02, 0.32, "response")
    device = Device(bundle, open_engine("litert_ref", bundle), telemetry)
    fake = FakeTime()
    push = device.push

    def stalled(sample):
        if device.samples == 10:
            fake.ns += 100_000_000
        return push(sample)

    device.push = stalled
    list(RealTimeClock(50, fake.now_ns, fake.sleep).replay(device, synthetic_recording(30).samples))
    # one push took 100 ms: it and the four samples that fell due meanwhile are late (101, 81, 61, 41, 21 ms)
    assert telemetry.deadline_misses == 5
