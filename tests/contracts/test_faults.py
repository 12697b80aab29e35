"""Every fault of the table: seeded, independent of chunks, unharmed by composition, with a truth that stays right."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from device_fixtures import make_tiny_bundle, synthetic_recording

from device_sim.faults import FAULTS, FaultSpec, disturb, undisturbed
from device_sim.faults.chain import FaultChain
from device_sim.faults.replay import taken_of
from device_sim.faults.spec import parse_faults
from device_sim.faults.table import UNITS
from device_sim.faults.taken import Setting, join
from edgehar.recording import Channel, Recording

RECORDING = synthetic_recording(9000, seed=4)
SETTING = Setting(RECORDING.rate_hz, RECORDING.channels)
FIELDS = ("t_us", "samples", "true_us", "boot")
# at these a fault does nothing
HARMLESS = {
    **dict.fromkeys(("noise", "bias", "temperature", "stuck", "nan", "drop", "burst", "gap", "stall"), 0.0),
    **dict.fromkeys(("duplicate", "jitter", "drift", "reorder", "rotation", "turn"), 0.0),
    **{"rate": 1.0, "saturate": 1000.0},
}
NEVER_HARMLESS = {"swap", "flip", "adc", "reboot"}


def through(faults, recording=RECORDING, seed=3, cuts=()):
    chain = FaultChain(faults, SETTING, seed, recording.name)
    whole = taken_of(recording)
    parts = [chain.push(whole.rows(slice(a, b))) for a, b in pairwise([0, *cuts, len(whole)])]
    return join([*parts, chain.finish(whole.rows(slice(0, 0)))]), chain.touched


def same(found, expected):
    return all(np.array_equal(getattr(found, n), getattr(expected, n), equal_nan=n == "samples") for n in FIELDS)


def harsh(name):
    """A severity that is not the first and mild one."""
    return FaultSpec(name, FAULTS[name].severities[-1 if FAULTS[name].whole else -2])


@pytest.mark.parametrize("name", FAULTS)
def test_chunks_change_nothing_and_a_seed_is_a_fault(name):
    fault = harsh(name)
    expected, touched = through([fault])
    rng = np.random.default_rng(1)
    cuts = [*range(1, 9), 9, 9, *np.sort(rng.integers(9, len(RECORDING.samples), 60)).tolist()]
    found, also = through([fault], cuts=cuts)
    assert same(found, expected)
    assert touched == also == {name: touched[name]}
    assert touched[name] > 0
    assert same(through([fault])[0], expected)
    assert not same(expected, through([])[0])


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"turn", "adc", "rate", "drift", "saturate"}))
def test_another_seed_or_recording_is_another_draw(name):
    fault = FaultSpec(name, FAULTS[name].severities[len(FAULTS[name].severities) // 2])
    first = [through([fault], seed=seed)[0] for seed in range(8)]
    assert any(not same(first[0], other) for other in first[1:])
    others = [replace(RECORDING, name=f"other{i}") for i in range(3)]
    assert any(not same(first[3], through([fault], other)[0]) for other in others)


def test_what_does_nothing_and_what_always_does_something():
    assert set(HARMLESS) | NEVER_HARMLESS == set(FAULTS)
    assert not set(HARMLESS) & NEVER_HARMLESS
    clean = through([])[0]
    for name, severity in HARMLESS.items():
        found = through([FaultSpec(name, severity)])[0]
        assert np.array_equal(found.t_us, clean.t_us), name
        assert np.allclose(found.samples, clean.samples, rtol=0, atol=1e-6 if name == "rate" else 0), name


def test_another_fault_changes_no_draw():
    drop, nan = FaultSpec("drop", 0.1), FaultSpec("nan", 0.01)
    alone, both = through([drop])[0], through([nan, drop])[0]
    assert np.array_equal(alone.t_us, both.t_us)
    assert np.isnan(both.samples).any()
    finite = np.isfinite(both.samples)
    assert np.array_equal(alone.samples[finite], both.samples[finite])


def test_all_at_once_go_through_and_keep_the_chunk_contract():
    faults = [harsh(name) for name in FAULTS]
    expected, touched = through(faults)
    found, also = through(faults, cuts=[1, 2, 777, 5000])
    assert same(found, expected)
    assert touched == also
    played = disturb(RECORDING, faults, 0)
    assert len(played.pieces) > 10


def test_severities_are_in_range_and_from_mild_to_harsh():
    for name, entry in FAULTS.items():
        assert entry.unit in UNITS
        distances = [abs(np.log(s)) if entry.unit == "times" else s for s in entry.severities]
        down = name in ("saturate", "adc")
        assert distances == sorted(distances, reverse=down), name
        assert len(set(distances)) == len(distances)
        for severity in entry.severities:
            spec = FaultSpec(name, severity)
            assert parse_faults(str(spec)) == (spec,)


def lived(played):
    """True row behind each sample that the device got."""
    return np.concatenate([played.rows[p.first : p.first + len(p.samples)] for p in played.pieces])


def test_a_recording_without_faults_passes_bit_for_bit():
    plain = undisturbed(RECORDING)
    assert np.array_equal(plain.pieces[0].samples, RECORDING.samples)
    for rate_hz in (50.0, 26.0, 31.25):
        played = disturb(replace(RECORDING, rate_hz=rate_hz), [FaultSpec("drop", 0.0)], 0)
        (piece,) = played.pieces
        assert np.array_equal(played.rows, plain.rows)
        if rate_hz != 26.0:  # its stamps are rounded to microseconds
            assert np.array_equal(piece.samples, RECORDING.samples)


def ramp(seconds):
    """Every value says when it was taken, so the place of a sample can be read off it."""
    count = round(50 * seconds)
    samples = np.repeat(np.arange(count, dtype=np.float32)[:, None], 6, axis=1)
    channels = tuple(Channel(f"acc_{i}", "g") for i in range(6))  # no axes: nothing that turns or biases them
    return Recording("ramp", "s", 50.0, channels, samples, np.zeros(count, np.int16), ("a",))


@pytest.mark.parametrize(
    "spec",
    [
        *("drop:0.3", "burst:0.3", "gap:0.7s", "gap:3s", "stall:4s", "duplicate:0.5", "drift:100000", "drift:-20000"),
        *("reorder:0.5", "reboot:5s", "rate:0.3", "rate:2.5", "drop:0.2,gap:2,reboot:1,rate:0.8,drift:5000"),
    ],
)
def test_the_truth_follows_the_samples(spec):
    recording = ramp(400)
    played = disturb(recording, parse_faults(spec), 1)
    values = np.concatenate([p.samples[:, 0] for p in played.pieces])
    rows = lived(played)
    assert np.abs(values - rows).max() <= 1.01  # the sample in force: at most the next one is as near
    stops = [p.first + len(p.samples) for p in played.pieces]
    assert all(p.first >= stop for p, stop in zip(played.pieces[1:], stops, strict=False))
    # what was missed is on the line, too: every sample of the recording, as far as the clock does not jump over it
    assert played.rows[0] == 0
    assert played.rows[-1] == len(recording.samples) - 1
    assert (np.diff(played.rows) >= 0).all() or "reorder" in spec
    assert np.diff(played.rows).max() <= 2


def test_stamps_that_jitter_keep_the_truth_within_their_error():
    played = disturb(ramp(100), parse_faults("jitter:5ms"), 1)
    values = np.concatenate([p.samples[:, 0] for p in played.pieces])
    assert np.abs(values - lived(played)).max() <= 1.01


def test_what_the_device_did_is_counted():
    def device(spec):
        return disturb(RECORDING, parse_faults(spec), 0).device

    assert device("duplicate:0.2")["duplicates"] == through(parse_faults("duplicate:0.2"), seed=0)[1]["duplicate"]
    assert device("reorder:0.2")["late"] > 1000
    assert device("gap:0.5")["interpolated"] == 6 * 25  # 180 s, one in 30
    assert device("gap:0.5")["breaks"] == 0
    assert device("gap:3")["breaks"] == 6
    assert device("reboot:1") == {**device("drop:0"), "reboots": 3, "interpolated": 0}


def test_nothing_comes_through():
    played = disturb(RECORDING, parse_faults("drop:1"), 0)
    assert [len(piece.samples) for piece in played.pieces] == [0]
    assert np.array_equal(played.rows, np.arange(len(RECORDING.samples)))


def test_shares_are_what_was_asked_for():
    recording = ramp(2000)
    clean = len(recording.samples)
    for spec in ("drop:0.1", "burst:0.1", "burst:0.5"):
        chain = FaultChain(parse_faults(spec), SETTING, 0, "x")
        lost = clean - len(chain.push(taken_of(recording)))
        assert lost / clean == pytest.approx(float(spec.split(":")[1]), abs=0.02)
    chain = FaultChain(parse_faults("burst:0.1"), SETTING, 0, "x")
    steps = np.diff(chain.push(taken_of(recording)).true_us) // 20_000 - 1
    assert steps[steps > 0].mean() == pytest.approx(10, rel=0.15)


def test_upside_down_and_other_mountings():
    def mounted(spec, seed=0):
        return through(parse_faults(spec), seed=seed)[0].samples

    samples = RECORDING.samples
    signs = np.array([-1, -1, 1, -1, -1, 1], np.float32)
    assert np.array_equal(mounted("turn:180"), samples * signs)
    assert np.array_equal(mounted("turn:90"), samples[:, [1, 0, 2, 4, 3, 5]] * np.float32([-1, 1, 1, -1, 1, 1]))
    assert np.array_equal(mounted("flip:3"), -samples)
    turned = mounted("rotation:37")
    assert np.allclose(np.linalg.norm(turned[:, :3], axis=1), np.linalg.norm(samples[:, :3], axis=1), atol=1e-5)
    for spec in ("swap:1", "swap:2"):
        swapped = mounted(spec)
        assert np.array_equal(np.sort(swapped[:, 3:], axis=1), np.sort(samples[:, 3:], axis=1))
        assert (swapped != samples).any(axis=1).mean() > 0.99


def test_sensor_faults_are_in_the_channels_own_unit():
    metric = tuple(replace(c, unit="m/s^2" if c.quantity == "acc" else "deg/s") for c in RECORDING.channels)
    factors = np.array([9.80665] * 3 + [180 / np.pi] * 3)
    scaled = replace(RECORDING, channels=metric, samples=(RECORDING.samples * factors).astype(np.float32))
    for spec in ("saturate:0.5g", "adc:8", "bias:100mg", "noise:0.1", "temperature:40"):
        faults = parse_faults(spec)
        chains = [FaultChain(faults, Setting(50.0, r.channels), 0, "x") for r in (RECORDING, scaled)]
        plain, other = (c.push(taken_of(r)).samples for c, r in zip(chains, (RECORDING, scaled), strict=True))
        close = np.isclose(plain * factors, other, rtol=1e-4, atol=1e-3)
        # a value on the border of two codes may go either way
        assert close.mean() > 0.995 if spec == "adc:8" else close.all()


def test_the_device_with_faults_runs_on_the_tiny_bundle(tmp_path):
    from device_sim.simulate import simulate

    bundle = make_tiny_bundle(tmp_path, held_out=(RECORDING,))
    clean = simulate(bundle, [RECORDING], "litert_ref")
    spared = simulate(bundle, [RECORDING], "litert_ref", faults=[FaultSpec("drop", 0.0)])
    assert spared.summary["faults"]["device"] == dict.fromkeys(spared.summary["faults"]["device"], 0)
    said = (
        "samples",
        "invalid_samples",
        "accuracy",
        "macro_f1",
        "baseline",
        "agreement",
        "events",
        "heads",
        "confusion",
    )
    assert {n: clean.summary[n] for n in said} == {n: spared.summary[n] for n in said}
    for fault in [harsh(name) for name in FAULTS]:
        result = simulate(bundle, [RECORDING], "litert_ref", faults=[fault], seed=5)
        (trace,) = result.traces
        assert result.summary["faults"]["spec"] == str(fault)
        assert len(trace.sample_labels) == trace.samples
        for start, truth in zip(trace.starts.tolist(), trace.truth.tolist(), strict=True):
            labels = trace.sample_labels[start : start + 32]
            assert truth == (labels[0] if (labels == labels[0]).all() else -1)
        assert all(a.end_s <= b.start_s for a, b in pairwise(trace.events))
        assert len(trace.announced_s) == len(trace.events)
        assert len(trace.baseline) == len(trace.starts)
