"""push == run == any chunking == windows of the whole recording; reset == fresh; memory stays bounded."""

from __future__ import annotations

import tempfile
import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from device_fixtures import make_tiny_bundle, offline_windows, reference_outputs, synthetic_recording
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim import device as device_module
from device_sim.device import Device
from device_sim.engines import open_engine
from device_sim.ring_buffer import RingBuffer
from device_sim.telemetry import Telemetry
from edgehar.decision_spec import DecisionSpec, Familiar, Grammar

GEOMETRIES = [(32, 16), (32, 32), (10, 25), (33, 7), (1, 1), (20, 1)]  # hop below, equal, above, no divisor of window
GRAMMAR = Grammar(((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)), (0.5, 0.3, 0.2))
FAMILIAR = Familiar(((3.0, -1.0, -1.0), (-1.0, 3.0, -1.0), (-1.0, -1.0, 3.0)), ((4.0, 4.0, 4.0),) * 3, 6.0)
FILTER = DecisionSpec("hmm", min_decisions=2, grammar=GRAMMAR, lag=2, uncertain_below=0.5, familiar=FAMILIAR)
SPECS = [DecisionSpec(), DecisionSpec("ema", 0.5, 2), DecisionSpec("majority", 3, 1), FILTER]


@cache
def loaded(geometry=(32, 16), spec=SPECS[0]):
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_tiny_bundle(Path(folder), *geometry, decision=spec)
        return bundle, open_engine("litert_ref", bundle)


def fresh(geometry=(32, 16), spec=SPECS[0], telemetry=None):
    return Device(*loaded(geometry, spec), telemetry)


def facts(decisions):
    return [(d.start, d.label, d.probabilities.tobytes(), d.outputs.tobytes(), d.ended) for d in decisions]


def pushed(device, samples):
    return [d for s in samples if (d := device.push(s)) is not None]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("length", [0, 1, 9, 10, 31, 32, 33, 500])
def test_decisions_are_those_of_the_offline_windows(geometry, length):
    samples = synthetic_recording(500).samples[:length]
    manifest = loaded(geometry)[0].manifest
    expected = reference_outputs(offline_windows(manifest, samples))
    device = fresh(geometry)
    decisions = device.run(samples)
    assert [d.start for d in decisions] == [geometry[1] * i for i in range(len(expected))]
    assert np.array_equal(np.array([d.outputs for d in decisions]).reshape(expected.shape), expected)
    assert device.samples == length


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(GEOMETRIES),
    st.sampled_from(SPECS),
    st.lists(st.integers(0, 120), min_size=1, max_size=8),
    st.integers(1, 200),
    st.tuples(st.booleans(), st.booleans()),
)
def test_any_chunking_gives_the_same_bits(geometry, spec, chunks, block_rows, flags):
    timed, damaged = flags
    samples = synthetic_recording(sum(chunks) + 1, seed=sum(chunks)).samples
    if damaged:
        rng = np.random.default_rng(len(chunks))
        samples[rng.random(samples.shape) < 0.05] = np.nan
        samples[rng.random(samples.shape) < 0.02] = np.inf
    one_by_one = fresh(geometry, spec)
    expected = facts(pushed(one_by_one, samples))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_module, "BLOCK_ROWS", block_rows)
        chunked = fresh(geometry, spec, Telemetry(0.02, 1.0) if timed else None)
    found, position = [], 0
    for i, count in enumerate([*chunks, 1]):
        part = samples[position : position + count]
        found += chunked.run(part) if i % 3 else pushed(chunked, part)
        position += count
    assert facts(found) == expected
    assert chunked.finish() == one_by_one.finish()
    assert chunked.invalid_samples == one_by_one.invalid_samples == (~np.isfinite(samples)).any(axis=1).sum()


@pytest.mark.parametrize("spec", SPECS)
def test_reset_equals_fresh(spec):
    first, second = synthetic_recording(300, 1).samples, synthetic_recording(300, 2).samples
    used = fresh(spec=spec)
    used.run(np.where(np.arange(300)[:, None] % 50, first, np.float32(np.nan)))
    used.reset()
    assert (used.samples, used.invalid_samples) == (0, 0)
    unused = fresh(spec=spec)
    assert facts(used.run(second)) == facts(unused.run(second))
    assert used.finish() == unused.finish()


def test_an_invalid_sample_is_the_last_good_one_again():
    samples = synthetic_recording(200).samples
    held = samples.copy()
    held[100:103, 2] = held[99, 2]
    held[0] = 0
    damaged = samples.copy()
    damaged[100:103, 2] = [np.nan, np.inf, -np.inf]
    damaged[0] = np.nan
    device = fresh()
    assert facts(device.run(damaged)) == facts(fresh().run(held))
    assert device.invalid_samples == 4


def test_absurd_but_finite_samples_saturate():
    samples = np.full((64, 6), np.finfo(np.float32).max)
    samples[::2] *= -1
    assert len(fresh().run(samples)) == 3


def test_a_sample_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="shape"):
        fresh().push(np.zeros(5, np.float32))
    with pytest.raises(ValueError, match="shape"):
        fresh().push(np.zeros(1, np.float32))
    with pytest.raises(ValueError, match="shape"):
        fresh().run(np.zeros((10, 5), np.float32))


def test_memory_stops_growing():
    device = fresh(spec=SPECS[1], telemetry=Telemetry(0.02, 0.32))
    samples = synthetic_recording(4000).samples
    sizes = []
    tracemalloc.start()
    try:
        for _ in range(5):
            for batch in device.batches(samples):
                del batch
            pushed(device, samples[:500])
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # 1 kB is room for small-integer boxes that change size; one more kept decision a hop would be 100 kB
    assert sizes[-1] - sizes[1] < 1000


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 9), st.lists(st.integers(0, 9), max_size=60))
def test_ring_buffer_against_a_list(window, append_max, counts):
    ring, rows, value = RingBuffer(window, 2, append_max), [], 0
    size = ring.nbytes
    for count in counts:
        if count > append_max:
            with pytest.raises(ValueError, match="at most"):
                ring.append(np.zeros((count, 2), np.int8))
            continue
        new = [(value + i) % 100 for i in range(count)]
        value += count
        rows += new
        ring.append(np.array([[v, -v] for v in new], np.int8).reshape(count, 2))
        hop = 1 + value % 3
        windows = sum(1 for back in range(0, count, hop) if len(rows) - back >= window)
        for i, view in enumerate(ring.views(windows, hop) if windows else []):  # those that end in the newest rows
            stop = len(rows) - (windows - 1 - i) * hop
            assert view[:, 0].tolist() == rows[stop - window : stop]
            assert view.flags.c_contiguous
    assert (ring.total, ring.nbytes) == (len(rows), size)
    ring.reset()
    with pytest.raises(ValueError, match="are kept"):
        ring.views(1, 1)
