"""The whole pipeline in C is the Python device: windows, logits, decisions and events, bit for bit."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from c_cases import STRICT
from device_fixtures import make_tiny_bundle, synthetic_recording
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.engines import open_engine
from device_sim.firmware import Twins
from edgehar.bundle import DecisionSpec
from edgehar.c_compiler import FLAGS, find_compiler
from edgehar.c_pipeline import CPipeline, firmware_files

GEOMETRIES = [(32, 16), (32, 32), (10, 25), (33, 7), (1, 1), (20, 1)]  # hop below, equal, above, no divisor of window
SPECS = [DecisionSpec(), DecisionSpec("ema", 0.7, 2), DecisionSpec("majority", 3, 1), DecisionSpec("majority", 5, 3)]


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


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(GEOMETRIES), st.sampled_from(SPECS), st.integers(0, 2**20), st.booleans())
def test_c_is_the_python_device(geometry, spec, seed, harmed):
    bundle, engine, pipeline = loaded(geometry, spec)
    samples = synthetic_recording(700, seed).samples
    if harmed:
        samples = damaged(samples, seed)
    twins = Twins(bundle, engine, pipeline)
    twins.push(samples)
    assert twins.decisions > 10
    twins.finish()
    assert twins.differences == []
