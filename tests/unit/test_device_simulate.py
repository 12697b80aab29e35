"""simulate(): scores next to the baseline's, events, and a summary that keeps to its schema."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from device_fixtures import LABELS, altered, make_tiny_bundle, synthetic_recording

import device_sim
from device_sim import report, scores
from device_sim.clock import SimulatedClock
from device_sim.emulator.boards import BOARDS
from device_sim.golden import check_golden
from device_sim.simulate import simulate, write_summary
from device_sim.sources import golden_recording
from device_sim.telemetry import Histogram
from edgehar.arrays import dump_npz
from edgehar.decision_spec import DecisionSpec, Grammar
from edgehar.errors import BundleError, DataError, EngineError
from edgehar.signal import window_labels

SCHEMA = json.loads((Path(device_sim.__file__).parent / "schemas" / "summary.schema.json").read_text())
HELD_OUT = tuple(synthetic_recording(900 + 50 * i, i, f"rec{i}", f"person{i // 2}") for i in range(4))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("simulate"), held_out=HELD_OUT)


@pytest.fixture(scope="module")
def result(bundle):
    return simulate(bundle, HELD_OUT, "litert_ref")


def check_schema(summary):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(summary, SCHEMA)


def test_the_summary_keeps_to_its_schema(result, bundle, tmp_path):
    check_schema(result.summary)
    path = tmp_path / "new" / "summary.json"
    write_summary(path, result)
    assert json.loads(path.read_text()) == result.summary
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == set(result.summary)
    assert result.summary["bundle_sha256"] == bundle.sha256
    assert (result.labels, result.window, result.hop) == (LABELS, 32, 16)


def test_scores_of_the_summary_are_those_of_the_traces(result):
    summary = result.summary
    truth = np.concatenate([t.truth for t in result.traces])
    decided = np.concatenate([t.decisions for t in result.traces])
    scored = truth >= 0
    assert summary["windows"] == scored.sum() < summary["windows_streamed"] == len(truth)
    assert summary["accuracy"] == pytest.approx((truth == decided)[scored].mean())
    assert summary["confusion"]["device"] == scores.confusion(truth, decided, 3).tolist()
    assert summary["subjects"] == ["person0", "person1"]
    assert summary["accuracy_interval"][0] <= summary["accuracy"] <= summary["accuracy_interval"][1]
    assert summary["samples"] == sum(len(r.samples) for r in HELD_OUT)
    assert summary["events"]["count"] == sum(len(t.events) for t in result.traces)
    assert sum(p["windows"] for p in summary["per_subject"]) == summary["windows"]
    for trace, recording in zip(result.traces, HELD_OUT, strict=True):
        assert np.array_equal(trace.truth, window_labels(recording.labels, 32, 16))
        assert np.array_equal(trace.outputs.argmax(axis=1), trace.decisions)


def test_reference_kernels_lose_nothing_against_the_baseline(result):
    summary = result.summary
    assert summary["agreement"] == 1.0
    assert summary["accuracy_drop_points"] == 0.0
    assert summary["accuracy_drop_interval_points"] == [0.0, 0.0]
    assert summary["baseline"]["accuracy"] == summary["accuracy"]
    assert summary["baseline"]["device"] == "cpu"
    assert summary["baseline"]["windows"] == summary["windows"]


def test_a_worse_device_shows_a_drop(bundle, tmp_path):
    arrays = bundle.arrays("baseline.npz")
    for recording in HELD_OUT:  # a baseline that is always right where there is a truth
        truth = window_labels(recording.labels, 32, 16)
        arrays[f"labels/{recording.name}"] = np.maximum(truth, 0).astype(np.int8)
    better = altered(bundle, tmp_path, {"baseline.npz": dump_npz(**arrays)})
    summary = simulate(better, HELD_OUT, "litert_ref").summary
    assert summary["baseline"]["accuracy"] == 1.0
    assert summary["accuracy_drop_points"] == pytest.approx(100 * (1 - summary["accuracy"]))
    assert summary["agreement"] == pytest.approx(summary["accuracy"])
    low, high = summary["accuracy_drop_interval_points"]
    assert 0 < low <= summary["accuracy_drop_points"] <= high


GRAMMAR = Grammar(((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)))


@pytest.mark.parametrize(
    "spec",
    [
        DecisionSpec("ema", 0.6),
        DecisionSpec("majority", 3),
        DecisionSpec("hmm", grammar=GRAMMAR, temperature=2.0),
        DecisionSpec("hmm", grammar=GRAMMAR, lag=2, uncertain_below=0.6),
    ],
)
def test_the_baseline_goes_through_the_same_smoothing(tmp_path, spec):
    smoothed = make_tiny_bundle(tmp_path, decision=spec, held_out=HELD_OUT)
    summary = simulate(smoothed, HELD_OUT, "litert_ref").summary
    assert summary["agreement"] == 1.0
    assert summary["accuracy_drop_points"] == 0.0


def test_a_baseline_without_logits_is_compared_before_the_filter(tmp_path):
    """What ships keeps the labels of the full-precision model alone."""
    spec = DecisionSpec("hmm", grammar=GRAMMAR, lag=1)
    whole = make_tiny_bundle(tmp_path, decision=spec, held_out=HELD_OUT)
    kept = {name: array for name, array in whole.arrays("baseline.npz").items() if name.startswith("labels/")}
    slim = altered(whole, tmp_path, {"baseline.npz": dump_npz(**kept)})
    summary = simulate(slim, HELD_OUT, "litert_ref").summary
    alone = simulate(altered(slim, tmp_path, decision=DecisionSpec()), HELD_OUT, "litert_ref").summary
    assert summary["agreement"] == 1.0 and summary["accuracy_drop_points"] == 0.0
    assert summary["accuracy"] != alone["accuracy"]
    assert summary["baseline"]["accuracy"] == pytest.approx(alone["baseline"]["accuracy"], abs=0.02)  # N - 1 windows


def test_rejected_windows_are_counted_and_count_as_wrong(tmp_path):
    spec = DecisionSpec(uncertain_below=0.9)
    result = simulate(make_tiny_bundle(tmp_path, decision=spec, held_out=HELD_OUT), HELD_OUT, "litert_ref")
    summary, decision = result.summary, result.summary["decision"]
    check_schema(summary)
    truth = np.concatenate([t.truth for t in result.traces])
    decided = np.concatenate([t.decisions for t in result.traces])
    scored = truth >= 0
    assert decision["rejected"] == {"uncertain": (decided[scored] == 3).sum(), "unknown": 0}
    assert decision["coverage"] == pytest.approx((decided[scored] < 3).mean())
    assert 0 < decision["coverage"] < 1
    assert summary["accuracy"] == pytest.approx((truth == decided)[scored].mean())
    assert decision["covered_accuracy"] > summary["accuracy"]
    assert result.labels == (*LABELS, "uncertain", "unknown") == tuple(summary["confusion"]["labels"])
    assert np.sum(summary["confusion"]["device"]) == summary["windows"]
    assert "uncertain" in report.render(result).lower()


def test_with_a_lag_decisions_are_scored_against_the_windows_they_are_about(tmp_path):
    spec = DecisionSpec("hmm", grammar=GRAMMAR, lag=2)
    result = simulate(make_tiny_bundle(tmp_path, decision=spec, held_out=HELD_OUT), HELD_OUT, "litert_ref")
    assert result.summary["decision"]["delay_s"] == 2 * 16 / 50
    for trace, recording in zip(result.traces, HELD_OUT, strict=True):
        assert trace.truth[:2].tolist() == [-1, -1]
        assert np.array_equal(trace.truth[2:], window_labels(recording.labels, 32, 16)[:-2])


def test_recordings_without_labels_or_baseline(bundle):
    plain = replace(HELD_OUT[0], name="new", labels=None)
    result = simulate(bundle, [plain], "litert_ref")
    check_schema(result.summary)
    names = ("accuracy", "macro_f1", "baseline", "agreement", "accuracy_interval", "accuracy_drop_points")
    assert [result.summary[name] for name in names] == [None] * 6
    assert result.traces[0].sample_labels is None
    assert result.traces[0].baseline is None
    assert (result.traces[0].truth == -1).all()


def test_a_recording_shorter_than_a_window(bundle):
    result = simulate(bundle, [HELD_OUT[0].cut(0, 31)])
    check_schema(result.summary)
    assert result.summary["windows_streamed"] == 0
    assert result.traces[0].probabilities.shape == (0, 3)
    assert result.traces[0].events == ()


def test_events_tile_the_recording(result):
    for trace, recording in zip(result.traces, HELD_OUT, strict=True):
        events = trace.events
        assert events[0].start_s == 31 / 50
        assert events[-1].end_s == pytest.approx(recording.duration_s)
        assert all(a.end_s == b.start_s and a.label != b.label for a, b in pairwise(events))


def test_latencies_are_whole_and_in_parts(result):
    summary = result.summary
    whole, steady = summary["latency_us"], summary["latency_steady_us"]
    first = summary["latency_warm_up_us"]
    assert first["decisions"] == 8
    for stage in ("front_end", "engine", "decision", "total"):
        assert first["stages"][stage]["count"] == 8
        assert whole[stage]["count"] == 8 + steady[stage]["count"]
        assert whole[stage]["max"] == max(steady[stage]["max"], first["stages"][stage]["max"])
        histogram = Histogram.of_buckets_ns(summary["latency_steady_ns"][stage])
        assert histogram.summary_us() == steady[stage]
    assert summary["mlperf_tiny"]["DutyCycle"] == pytest.approx(whole["total"]["mean"] / 1e6 / (16 / 50), rel=1e-3)
    assert summary["mlperf_tiny"]["FalsePositives"] == summary["events"]["announced"]["inserted"]
    assert all(0 < noise["p50"] <= noise["max"] for noise in summary["host_noise_us"].values())
    assert (summary["execution"], summary["energy"]) == ({"threads": 1, "batch": 1}, None)


def test_a_modelled_board_has_energy_and_no_host_noise(bundle):
    summary = simulate(bundle, [HELD_OUT[0].cut(0, 200)], "cortex_m", board="rpi_pico2").summary
    check_schema(summary)
    assert summary["host_noise_us"] is None
    assert summary["latency_warm_up_us"] == {"decisions": 0, "stages": {}}
    energy, board = summary["energy"], BOARDS["rpi_pico2"]
    assert (energy["board"], energy["kind"]) == ("rpi_pico2", "modelled")
    sample, total = (summary["latency_us"][stage]["mean"] for stage in ("sample", "total"))
    assert energy["latency_ms"] == pytest.approx((15 * sample + total) / 1000, rel=1e-4)
    assert energy["energy_uj"] == pytest.approx(energy["latency_ms"] * board.current.active_mw)
    assert energy["duty_cycle"] == pytest.approx(summary["mlperf_tiny"]["DutyCycle"])


def test_progress_reaches_one(bundle):
    calls = []
    simulate(bundle, HELD_OUT, progress=lambda name, share: calls.append((name, share)))
    shares = [share for _, share in calls]
    assert shares == sorted(shares)
    assert 0.95 < shares[-1] <= 1.0
    assert {name for name, _ in calls} == {r.name for r in HELD_OUT}


class InterruptedClock(SimulatedClock):
    """Ctrl-C in the second recording."""

    replayed = 0

    def replay(self, device, samples):
        self.replayed += 1
        yield from device.batches(samples[:200])
        if self.replayed == 2:
            raise KeyboardInterrupt
        yield from device.batches(samples[200:])


def test_ctrl_c_leaves_the_result_so_far(bundle):
    result = simulate(bundle, HELD_OUT, clock=InterruptedClock())
    check_schema(result.summary)
    assert result.summary["interrupted"]
    assert result.summary["recordings"] == 2
    assert result.summary["samples"] == len(HELD_OUT[0].samples) + 200
    assert len(result.traces[1].starts) == len(result.traces[1].truth) == 11
    assert len(result.traces[1].sample_labels) == 200


def test_refusals(bundle, tmp_path):
    with pytest.raises(DataError, match="no recording"):
        simulate(bundle, [])
    bad = bundle.arrays("baseline.npz") | {"labels/rec0": np.array([7], np.int8)}
    with pytest.raises(BundleError, match="labels/rec0"):
        simulate(altered(bundle, tmp_path, {"baseline.npz": dump_npz(**bad)}), HELD_OUT)
    with pytest.raises(BundleError, match="malformed"):
        simulate(altered(bundle, tmp_path, {"baseline.json": b"{}"}), HELD_OUT)


def test_the_golden_stream_has_its_own_baseline(bundle, tmp_path):
    # it is cut out of a held-out recording of the same name, whose first windows are others
    arrays = bundle.arrays("golden.npz")
    meta = {"recording": "rec0", "subject": "person0", "dataset": "made", "start_sample": 160}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    cut = altered(bundle, tmp_path, {"golden.npz": dump_npz(**arrays)})
    result = simulate(cut, [golden_recording(cut)], "litert_ref")
    assert result.traces[0].recording == "rec0@160"
    assert np.array_equal(result.traces[0].baseline, arrays["stream_logits"].argmax(axis=1))
    assert result.summary["agreement"] == 1.0


def test_golden_check(bundle, tmp_path):
    outputs = simulate(bundle, [golden_recording(bundle)], "litert_ref").traces[0].outputs
    check = check_golden(bundle, "litert_ref", outputs)
    assert (check.passed, check.equal, check.largest) == (True, len(outputs), 0)
    off = outputs.copy()
    off[3, 1] += 1 if off[3, 1] < 127 else -1
    check = check_golden(bundle, "litert_ref", off)
    assert (check.passed, check.equal, check.largest) == (False, len(outputs) - 1, 1)
    assert check_golden(bundle, "litert", off).passed
    arrays = bundle.arrays("golden.npz")
    arrays["stream_windows"][0, 0, 0] ^= 1
    features = altered(bundle, tmp_path, {"golden.npz": dump_npz(**arrays)})
    assert not check_golden(features, "litert", outputs).passed
    with pytest.raises(EngineError, match="golden stream"):
        check_golden(bundle, "litert", outputs[:0])
