"""Histograms against numpy, deadlines, and the real-time clock on a fake time source."""

from __future__ import annotations

import numpy as np
import pytest
from device_fixtures import make_tiny_bundle, synthetic_recording

from device_sim.clock import RealTimeClock
from device_sim.device import Device
from device_sim.engines import open_engine
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


def test_deadlines_are_held_against_both_periods():
    telemetry = Telemetry(0.02, 1.28)
    for milliseconds in (1, 20, 21, 1280, 1281):
        telemetry.record_push("total", milliseconds * 1_000_000)
    telemetry.record_push("response", 10**10)
    assert (telemetry.deadline_misses, telemetry.deadline_misses_hop) == (3, 1)
    telemetry.reset()
    assert telemetry.deadline_misses == telemetry.stages["total"].count == 0
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
