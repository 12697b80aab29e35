"""A device in a fleet has the bits that it has alone, whatever the others see and however the samples are cut."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from device_fixtures import make_tiny_bundle, synthetic_recording
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.decisions.hmm import HmmSmoothing
from device_sim.device import Device
from device_sim.engines import open_engine
from device_sim.fleet import c_filter, c_library, vectorised
from device_sim.fleet import c_front_end as c_module
from device_sim.fleet.c_filter import CFilter, quickest_filter
from device_sim.fleet.c_front_end import c_front_end
from device_sim.fleet.fleet import open_fleet
from device_sim.fleet.windows import CompiledWindows, NumpyWindows, windows_of
from edgehar.bundle import Bundle
from edgehar.decision_spec import DecisionSpec, Grammar
from edgehar.manifest import ModelInput
from edgehar.recording import IMU_CHANNELS
from edgehar.signal import FrontEnd, QuantParams
from edgehar.signal.biquad import Biquad
from edgehar.signal.difference import Difference
from edgehar.signal.quantization import FLOAT32
from edgehar.signal.signed_log import SignedLog

GEOMETRIES = [(32, 16), (32, 32), (10, 25), (33, 7), (1, 1), (20, 1)]  # hop below, equal, above, no divisor of window
GRAMMAR = Grammar(((0.9, 0.07, 0.03), (0.05, 0.949999, 1e-6), (1e-6, 0.2, 0.799999)), (0.5, 0.3, 0.2))
SPECS = [
    DecisionSpec(),
    DecisionSpec("ema", 0.7, 2),
    DecisionSpec("majority", 3, 2, uncertain_below=0.6, hysteresis=0.2),
    DecisionSpec("hmm", min_decisions=2, grammar=GRAMMAR, lag=2),
]
ENGINES = ["litert", "litert_ref", "c_native"]
FRONT_ENDS = {"numpy": NumpyWindows, "compiled": windows_of}


@cache
def tiny(geometry, spec):
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_tiny_bundle(Path(folder), *geometry, decision=spec)
        return bundle, {name: open_engine(name, bundle) for name in ENGINES}


def said_by(batches):
    """All arrays of a stream's decisions, and its events."""
    batches = [b for b in batches if b is not None]
    if not batches:
        return None
    names = ("starts", "outputs", "probabilities", "labels")
    arrays = [np.concatenate([getattr(b, name) for b in batches]) for name in names]
    for i in range(len(batches[0].others)):
        for name in ("outputs", "probabilities", "answers"):
            arrays.append(np.concatenate([getattr(b.others[i], name) for b in batches]))
    if batches[0].embeddings is not None:
        arrays.append(np.concatenate([b.embeddings for b in batches]))
    events = [event for b in batches for _, event in b.ended]
    announced = [int(b.starts[i]) for b in batches for i in b.announced]
    return [(a.dtype, a.shape, a.tobytes()) for a in arrays], events, announced


def alone(bundle, engine, samples):
    device = Device(bundle, engine)
    device.reset()
    said = said_by(device.batches(samples))
    return said, device.finish(), device.invalid_samples


def together(fleet, streams, cuts):
    """Push streams of different lengths in pieces that end at ``cuts``."""
    batches = [[] for _ in streams]
    at = 0
    for cut in cuts:
        block = np.full((len(streams), cut - at, streams[0].shape[1]), np.nan, np.float32)  # nobody looks at the rest
        lengths = []
        for d, stream in enumerate(streams):
            piece = stream[at:cut]
            block[d, : len(piece)] = piece
            lengths.append(len(piece))
        for d, batch in enumerate(fleet.push(block, lengths)):
            batches[d].append(batch)
        at = cut
    return list(zip([said_by(b) for b in batches], fleet.finish(), fleet.invalid_samples(), strict=True))


def damaged(samples, rng):
    values = np.array([np.nan, np.inf, -np.inf, 3.4e38, 1e9, 1e-40, -0.0, 16], np.float32)
    return np.where(rng.random(samples.shape) < 0.05, rng.choice(values, samples.shape), samples)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.tuples(st.sampled_from(GEOMETRIES), st.sampled_from(SPECS)),
    st.sampled_from(ENGINES),
    st.integers(0, 2**20),
    st.tuples(st.integers(1, 5), st.sampled_from(list(FRONT_ENDS))),
    st.booleans(),
)
def test_a_device_in_a_fleet_has_its_own_bits(kind, engine, seed, fleet, harmed):
    devices, front_end = fleet
    bundle, engines = tiny(*kind)
    rng = np.random.default_rng(seed)
    longest = 600
    lengths = [longest, *rng.integers(0, longest + 1, devices - 1).tolist()]
    streams = [synthetic_recording(longest, seed + d).samples[:length] for d, length in enumerate(lengths)]
    if harmed:
        streams = [damaged(stream, rng) for stream in streams]
    cuts = sorted({*rng.integers(1, longest, rng.integers(0, 12)).tolist(), longest})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectorised, "windows_of", FRONT_ENDS[front_end])
        opened = open_fleet(bundle, engines[engine], devices)
    assert together(opened, streams, cuts) == [alone(bundle, engines[engine], stream) for stream in streams]


@pytest.mark.parametrize(
    ("name", "engine"),
    [("ds_cnn_multitask", "litert"), ("ds_cnn_multitask", "c_native"), ("siamese", "litert"), ("bilstm", "litert")],
)
def test_fleets_of_real_bundles(name, engine):
    bundle = Bundle.open(f"zoo:{name}")
    streams = [synthetic_recording(length, seed=length).samples for length in (1200, 1000, 127)]
    found = together(open_fleet(bundle, open_engine(engine, bundle), 3), streams, [500, 1200])
    assert found == [alone(bundle, open_engine(engine, bundle), stream) for stream in streams]
    assert found[2][0] is None


def random_front_end(rng):
    """Steps of every kind on random columns, some of them several times, some on columns that are not neighbours."""
    width = int(rng.integers(1, 9))
    steps = []
    for _ in range(rng.integers(0, 5)):
        columns = tuple(sorted(rng.choice(width, rng.integers(1, width + 1), replace=False).tolist()))
        kinds = (
            Difference(columns),
            SignedLog(columns, tuple(rng.uniform(0.001, 2, len(columns)).tolist())),
            Biquad(columns, ((0.2, 0.1, -0.05, -0.9, 0.3), (1.0, -0.5, 0.1, 0.2, -0.4))),
        )
        steps.append(kinds[rng.integers(len(kinds))])
    gain = rng.choice([1.0, -1.0, 9.81, 0.1], width).tolist()
    front_end = FrontEnd(
        channels=tuple(c.name for c in IMU_CHANNELS),
        select=tuple(rng.integers(0, 6, width).tolist()),
        gain=tuple(gain),
        steps=tuple(steps),
        names=tuple(f"c{i}" for i in range(width)),
    )
    return front_end.fitted(front_end.run(synthetic_recording(500, 1).samples)) if rng.random() < 0.7 else front_end


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**20), st.booleans())
def test_the_front_end_in_c_is_that_in_numpy(seed, harmed):
    rng = np.random.default_rng(seed)
    front_end = random_front_end(rng)
    width = front_end.width
    inputs = tuple(
        ModelInput(f"i{i}", tuple(rng.choice(width, rng.integers(1, width + 1), replace=False).tolist()), quant=quant)
        for i, quant in enumerate([QuantParams(2.0**-4, 3), QuantParams(0.037, -128), QuantParams(1e-9, 127)])
    )
    manifest = replace(tiny(GEOMETRIES[0], SPECS[0])[0].manifest, front_end=front_end, inputs=inputs)
    samples = synthetic_recording(700, seed).samples
    if harmed:
        samples = damaged(samples, rng)
    windows = [NumpyWindows(manifest, 1), CompiledWindows(manifest, c_front_end(manifest), 1)]
    ends = [*range(32, 701, 16)]
    at = 0
    for cut in [*sorted(rng.integers(1, 700, 4).tolist()), 700]:
        complete = np.ones((1, sum(at < end <= cut for end in ends)), bool)
        if cut > at:
            numpy, compiled = (each.push(samples[None, at:cut], np.array([cut - at]), complete) for each in windows)
            assert all(np.array_equal(a, b) for a, b in zip(numpy, compiled, strict=True))
        at = cut
    assert windows[0].invalid == windows[1].invalid


def test_numpy_does_what_c_does_not():
    manifest = tiny(GEOMETRIES[0], SPECS[0])[0].manifest
    floats = replace(manifest.inputs[0], quant=FLOAT32)
    assert c_front_end(replace(manifest, inputs=(floats,))) is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(c_library, "find_compiler", lambda: None)
        none = c_library.fleet_library.__wrapped__()
        assert none is None
        patch.setattr(c_module, "fleet_library", lambda: none)
        patch.setattr(c_filter, "fleet_library", lambda: none)
        assert isinstance(windows_of(manifest, 1), NumpyWindows)
        assert isinstance(quickest_filter(SPECS[-1], 3), HmmSmoothing)
    assert isinstance(windows_of(manifest, 1), CompiledWindows)
    assert isinstance(quickest_filter(SPECS[-1], 3), CFilter)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**20))
def test_the_filter_in_c_is_that_in_numpy(seed):
    rng = np.random.default_rng(seed)
    own, enrolled, lag = int(rng.integers(2, 13)), int(rng.integers(0, 3)), int(rng.integers(0, 5))
    transitions = rng.dirichlet(np.full(own, 0.5), own)
    prior = tuple(rng.dirichlet(np.ones(own)).tolist()) if rng.random() < 0.7 else ()
    spec = DecisionSpec("hmm", grammar=Grammar(tuple(map(tuple, transitions.tolist())), prior), lag=lag)
    p = rng.dirichlet(np.full(own + enrolled, 0.3), 90).astype(np.float32)
    p[rng.random(p.shape) < 0.1] = 0
    both = HmmSmoothing(spec, own + enrolled), CFilter(spec, own + enrolled)
    for part in np.split(p, sorted(rng.integers(0, 90, 4).tolist())):
        numpy, compiled = (each.update(part) for each in both)
        assert [a.tobytes() for a in numpy] == [a.tobytes() for a in compiled]
    for each in both:
        each.reset()
    numpy, compiled = (each.update(p[:20]) for each in both)
    assert [a.tobytes() for a in numpy] == [a.tobytes() for a in compiled]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_device_that_has_ended_gets_nothing_more(engine):
    bundle, engines = tiny(GEOMETRIES[0], SPECS[0])
    fleet = open_fleet(bundle, engines[engine], 2)
    samples = np.zeros((2, 10, 6), np.float32)
    fleet.push(samples, [10, 4])
    for wrong in ([10, 1], [11, 0], [-1, 0]):
        with pytest.raises(ValueError, match="lengths"):
            fleet.push(samples, wrong)
    with pytest.raises(ValueError, match="expected \\[D, T, C\\]"):
        fleet.push(samples[:, :, :5], [10, 0])
