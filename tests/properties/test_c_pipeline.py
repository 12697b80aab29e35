"""The whole pipeline in C is the Python device: windows, logits, decisions and events, bit for bit."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from c_cases import STRICT
from device_fixtures import make_tiny_bundle, synthetic_recording
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.engines import open_engine
from device_sim.firmware import Twins
from edgehar.c_compiler import FLAGS, find_compiler
from edgehar.c_pipeline import CPipeline, firmware_files
from edgehar.decision_spec import DecisionSpec, Familiar, Grammar

GEOMETRIES = [(32, 16), (32, 32), (10, 25), (33, 7), (1, 1), (20, 1)]  # hop below, equal, above, no divisor of window
GRAMMAR = Grammar(((0.9, 0.07, 0.03), (0.05, 0.949999, 1e-6), (1e-6, 0.2, 0.799999)), (0.5, 0.3, 0.2))
FAMILIAR = Familiar(((4.0, -2.0, -3.0), (-2.0, 5.0, 0.5), (0.0, 1.0, 6.0)), ((2.0, 9.0, 5.0),) * 3, 6.0)
SPECS = [
    DecisionSpec(),
    DecisionSpec("ema", 0.7, 2),
    DecisionSpec("majority", 3, 1),
    DecisionSpec("majority", 5, 3),
    DecisionSpec("none", temperature=0.4, hysteresis=0.3, uncertain_below=0.6),
    DecisionSpec("ema", 0.5, 2, temperature=2.5, hysteresis=0.1, uncertain_below=0.45),
    DecisionSpec("hmm", grammar=GRAMMAR, temperature=0.4),
    DecisionSpec("hmm", min_decisions=2, grammar=replace(GRAMMAR, prior=()), uncertain_below=0.7, hysteresis=0.2),
    DecisionSpec("hmm", grammar=GRAMMAR, temperature=3.0, lag=1, uncertain_below=0.5),
    DecisionSpec("hmm", min_decisions=3, grammar=GRAMMAR, lag=4, familiar=FAMILIAR),
    DecisionSpec("ema", 0.5, familiar=FAMILIAR),
]
CASES = [(geometry, spec) for spec in SPECS for geometry in (GEOMETRIES if spec in SPECS[:4] else GEOMETRIES[::5])]


@cache
def loaded(geometry=(32, 16), spec=SPECS[0]):
    compiler = find_compiler()
    assert compiler is not None
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_tiny_bundle(Path(folder), *geometry, decision=spec)
        return bundle, open_engine("litert_ref", bundle), CPipeline(firmware_files(bundle), compiler, (*FLAGS, *STRICT))


def damaged(samples, seed):
    """NaN, infinities, saturation, denormals and absurd values strewn in."""
    rng = np.random.default_rng(seed)
    values = np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e9, 1e-40, -0.0, 16, -16, 1e6], np.float32)
    places = rng.random(samples.shape) < 0.05
    return np.where(places, rng.choice(values, samples.shape), samples)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.sampled_from(CASES), st.integers(0, 2**20), st.booleans())
def test_c_is_the_python_device(case, seed, harmed):
    bundle, engine, pipeline = loaded(*case)
    samples = synthetic_recording(700, seed).samples
    if harmed:
        samples = damaged(samples, seed)
    twins = Twins(bundle, engine, pipeline)
    twins.push(samples)
    assert twins.decisions > 10
    twins.finish()
    assert twins.differences == []
