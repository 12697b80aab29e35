"""Two summaries beside each other: what is refused, what is said of a difference, what a CI gets."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from device_fixtures import altered, make_tiny_bundle, synthetic_recording

from device_sim import scores
from device_sim.compare import ALLOWANCES, compare, differences, junit_xml
from device_sim.compare.latency import quantile_us
from device_sim.compare.people import SCORES
from device_sim.replayed import replayed
from device_sim.simulate import simulate, write_summary
from device_sim.telemetry import Histogram
from edgehar.cli import main
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import DataError

RECORDINGS = tuple(synthetic_recording(1500, i, f"rec{i}", f"person{i}") for i in range(5))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The tiny bundle with a vote of five windows, and as it is: it flips more, and is right less often."""
    folder = tmp_path_factory.mktemp("compare")
    plain = make_tiny_bundle(folder, held_out=RECORDINGS)
    voting = altered(plain, folder, decision=DecisionSpec("majority", 5))
    return simulate(voting, RECORDINGS, "litert_ref"), simulate(plain, RECORDINGS, "litert_ref")


@pytest.fixture
def pair(results):
    return tuple(copy.deepcopy(result.summary) for result in results)


def rows_of(comparison):
    return {row.name: row for row in comparison.rows}


def test_a_run_equals_itself(pair):
    a = pair[0]
    comparison = compare(a, a, {"max_accuracy_drop": 0, "max_latency_increase": 0, "max_model_increase_kb": 0})
    assert {row.verdict for row in comparison.rows} == {"equal"}
    assert all(row.difference == 0 for row in comparison.rows)
    assert all(row.interval == (0, 0) for row in comparison.rows if row.name in {s.name for s in SCORES})
    assert comparison.passed


def test_scores_are_those_of_the_summaries(pair):
    a, b = pair
    rows = rows_of(compare(a, b))
    for summary, side in ((a, "a"), (b, "b")):
        found = {name: getattr(row, side) for name, row in rows.items()}
        assert found["accuracy"] == pytest.approx(100 * summary["accuracy"])
        assert found["macro_f1"] == pytest.approx(100 * summary["macro_f1"])
        assert found["event_f1"] == pytest.approx(100 * summary["events"]["f1"])
        assert found["event_macro_f1"] == pytest.approx(100 * summary["events"]["macro_f1"])
        assert found["flips_per_hour"] == pytest.approx(summary["events"]["flips_per_hour"])
        assert found["false_alarms_per_hour"] == pytest.approx(summary["events"]["false_alarms_per_hour"])
        assert found["model_bytes"] == summary["memory"]["model_bytes"]
    assert rows["flips_per_hour"].difference > 0
    assert rows["flips_per_hour"].verdict == "worse"
    assert rows_of(compare(b, a))["flips_per_hour"].verdict == "better"


def test_the_interval_is_that_of_a_plain_paired_bootstrap(pair):
    a, b = pair
    rows = rows_of(compare(a, b))
    confusions = [np.array([p["confusion"] for p in summary["per_subject"]]) for summary in (a, b)]
    delays = [
        [np.append(p["delays_s"], [np.inf] * p["undetected"]) for p in s["events"]["per_subject"]] for s in (a, b)
    ]
    drawn = np.random.default_rng(1).integers(0, 5, (4000, 5))
    plain = {"accuracy": [], "macro_f1": [], "delay_s": []}
    for people in drawn:
        both = [c[people].sum(axis=0) for c in confusions]
        plain["accuracy"].append(100 * (scores.accuracy(both[1]) - scores.accuracy(both[0])))
        plain["macro_f1"].append(100 * (scores.macro_f1(both[1]) - scores.macro_f1(both[0])))
        medians = [np.percentile(np.concatenate([d[p] for p in people]), 50, method="inverted_cdf") for d in delays]
        plain["delay_s"].append(medians[1] - medians[0])
    for name, values in plain.items():
        low, high = np.percentile(values, [2.5, 97.5])
        assert rows[name].interval == pytest.approx((low, high), abs=0.15 * (high - low) + 1e-9), name


def test_a_run_that_rejects_is_compared_with_one_that_does_not(results, tmp_path):
    strict = altered(make_tiny_bundle(tmp_path), tmp_path, decision=DecisionSpec(uncertain_below=0.8))
    rejecting = simulate(strict, RECORDINGS, "litert_ref").summary
    assert len(rejecting["confusion"]["labels"]) > len(results[1].summary["confusion"]["labels"])
    rows = rows_of(compare(results[1].summary, rejecting))
    assert rows["accuracy"].b == pytest.approx(100 * rejecting["accuracy"])
    assert rows["macro_f1"].b == pytest.approx(100 * rejecting["macro_f1"])
    assert rows["accuracy"].difference < 0


def test_a_run_with_a_lag_lacks_some_windows_and_is_compared_all_the_same(pair):
    a, b = pair
    first = np.array(b["per_subject"][0]["confusion"])
    first[first > 0] -= 1
    b["per_subject"][0]["confusion"] = first.tolist()
    with pytest.raises(DataError, match="scored windows differ for person0"):
        compare(a, b)
    b["decision"]["delay_s"] = 0.64
    assert rows_of(compare(a, b))["accuracy"].interval is not None


def change(summary, *path, value):
    at = summary
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("data", 0, "recording"), "other", r"recordings differ: 1 only in A \(rec0\); 1 only in B \(other\)"),
        (("data", 2, "sha256"), "0" * 64, r"1 recordings of the same name differ in samples.*rec2"),
        (("data", 2, "samples"), 7, None),
        (("rate_hz",), 100.0, "rates differ: 50 Hz and 100 Hz"),
        (("window",), 64, "windows differ: 32 samples every 16, and 64 every 16"),
        (("hop",), 8, "windows differ"),
        (("confusion", "labels"), ["a", "b", "c"], "labels differ"),
        (("interrupted",), True, "B was interrupted"),
        (("per_subject", 1, "confusion"), [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "scored windows differ for person1"),
        (("faults",), {"spec": "drop:0.1", "seed": 3}, "faults differ: none, and drop:0.1 with seed 3"),
    ],
)
def test_other_data_are_refused(pair, path, value, words):
    a, b = pair
    change(b, *path, value=value)
    if words is None:
        assert differences(a, b) == []
        return
    with pytest.raises(DataError, match=words):
        compare(a, b)


def test_a_summary_of_an_older_version_is_refused(pair):
    a, b = pair
    del b["data"], b["window"]
    with pytest.raises(DataError, match=r"B has no data, window.*simulate again"):
        compare(a, b)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("per_subject",), None),
        (("per_subject", 0), {"subject": "person0"}),
        (("data",), [3]),
        (("events", "per_subject"), [{"subject": "person0"}]),
        (("confusion",), None),
        (("latency_steady_ns", "total", "lows"), []),
        (("memory",), {"model_bytes": "x"}),
    ],
)
def test_a_damaged_summary_is_refused(pair, path, value):
    a, b = pair
    change(b, *path, value=value)
    with pytest.raises(DataError):
        compare(a, b)


def test_the_hash_is_of_samples_labels_channels_and_rate():
    recording = RECORDINGS[0]
    (first,) = replayed([recording])
    assert replayed([recording.cut(0, 1500)]) == [first]
    assert replayed([recording.cut(0, 1499)])[0]["sha256"] != first["sha256"]
    other = recording.samples.copy()
    other[700, 3] += 1e-3
    labels = recording.labels.copy()
    labels[5] = 1 - labels[5] if labels[5] >= 0 else 0
    changed = [
        replace(recording, samples=other),
        replace(recording, labels=labels),
        replace(recording, labels=None),
        replace(recording, rate_hz=51.0),
        replace(recording, label_names=("x", "walking", "jumping")),
        replace(recording, channels=recording.channels[::-1]),
    ]
    assert len({replayed([r])[0]["sha256"] for r in changed} | {first["sha256"]}) == 7
    assert replayed([replace(recording, source="elsewhere", licence="other")]) == [first]


def histogram_of(values):
    histogram = Histogram()
    for value in values:
        histogram.record(int(value))
    return histogram


def test_an_interval_of_a_quantile_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(400):
        _, low, high = quantile_us(histogram_of(rng.exponential(1e6, 200)), 0.5)
        inside += low <= 1e3 * np.log(2) <= high
    assert 0.92 <= inside / 400 <= 0.99
    median, low, high = quantile_us(histogram_of([1000] * 10), 0.99)
    assert (median, high) == (pytest.approx(1, rel=0.01), np.inf)
    assert low <= 1


def with_latency(summary, ns):
    for stage in ("total", "engine"):
        summary["latency_steady_ns"][stage] = histogram_of(ns).buckets_ns()


def test_latencies_differ_when_their_intervals_do_not_meet(pair):
    a, b = pair
    rng = np.random.default_rng(5)
    with_latency(a, rng.normal(100_000, 3000, 2000))
    with_latency(b, rng.normal(120_000, 3000, 2000))
    comparison = compare(a, b, {"max_latency_increase": 30})
    row = rows_of(comparison)["latency_total_p50_us"]
    assert row.verdict == "worse"
    assert row.difference == pytest.approx(20, abs=1.5)
    assert row.interval[0] < 20 < row.interval[1]
    assert comparison.passed
    assert not compare(a, b, {"max_latency_increase": 10}).passed
    assert rows_of(compare(b, a))["latency_total_p50_us"].verdict == "better"
    with_latency(b, rng.normal(100_000, 3000, 2000))
    again = compare(a, b, {"max_latency_increase": 0})
    assert rows_of(again)["latency_total_p50_us"].verdict == "level"
    assert again.passed  # not more than chance explains


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("latency_kind",), "modelled", "measured and modelled"),
        (("host", "cpu"), "another", "other hosts"),
        (("clock",), "realtime", "other clocks"),
        (("latency_steady_ns",), {}, "no steady"),
    ],
)
def test_latencies_of_another_kind_are_not_compared(pair, path, value, words):
    a, b = pair
    change(b, *path, value=value)
    comparison = compare(a, b, {"max_latency_increase": 50})
    row = rows_of(comparison)["latency_total_p99_us"]
    assert row.verdict == "not compared"
    assert words in row.note
    assert not comparison.passed  # a limit that cannot be checked is not kept
    assert "cannot be compared" in comparison.limits[0].why


def test_limits_are_on_the_difference_itself(pair):
    a, b = pair
    drop = 100 * (a["accuracy"] - b["accuracy"])
    assert drop > 0
    assert compare(a, b, {"max_accuracy_drop": drop + 0.01}).passed
    failed = compare(a, b, {"max_accuracy_drop": drop - 0.01, "max_delay_increase": 1})
    assert [limit.over for limit in failed.limits] == [True, False]
    assert not compare(a, b, {"max_energy_increase": 100}).passed  # neither run has a board
    b["memory"]["model_bytes"] += 2048
    assert compare(a, b, {"max_model_increase_kb": 2}).passed
    assert not compare(a, b, {"max_model_increase_kb": 1.9}).passed


def test_delays_that_some_draws_never_end_have_no_interval(pair):
    a, b = pair
    for person in b["events"]["per_subject"][:2]:
        person["undetected"], person["delays_s"] = 40, []
    row = rows_of(compare(a, b))["delay_s"]
    assert row.verdict in ("level", "not compared")
    assert row.interval is None
    for person in b["events"]["per_subject"]:
        person["undetected"], person["delays_s"] = 40, []
    comparison = compare(a, b, {"max_delay_increase": 1})
    assert rows_of(comparison)["delay_s"].note == "undetected in the median"
    assert not comparison.passed
    json.dumps([r.to_dict() for r in comparison.rows], allow_nan=False)


def test_energy_is_compared_on_one_board(pair):
    a, b = pair
    a["energy"], b["energy"] = {"board": "x", "energy_uj": 100.0}, {"board": "x", "energy_uj": 109.0}
    assert compare(a, b, {"max_energy_increase": 10}).passed
    assert not compare(a, b, {"max_energy_increase": 8}).passed
    b["energy"]["board"] = "y"
    assert rows_of(compare(a, b))["energy_uj"].note == "not of the same board"


def test_people_without_labels_count_for_nothing(results, tmp_path):
    nobody = replace(RECORDINGS[0], name="more", subject="person9", labels=None)
    bundle = make_tiny_bundle(tmp_path)
    summary = simulate(bundle, [*RECORDINGS, nobody], "litert_ref").summary
    rows = rows_of(compare(summary, summary, {"max_accuracy_drop": 0}))
    assert rows["accuracy"].a == pytest.approx(100 * summary["accuracy"])
    assert rows["event_f1"].a == pytest.approx(100 * summary["events"]["f1"])
    alone = simulate(bundle, [nobody], "litert_ref").summary
    rows = rows_of(compare(alone, alone))
    assert {rows[score.name].note for score in SCORES} == {"no truth to score with"}


def test_one_person_has_no_interval(results):
    plain = results[0].summary
    one = copy.deepcopy(plain)
    one["per_subject"], one["events"]["per_subject"] = plain["per_subject"][:1], plain["events"]["per_subject"][:1]
    row = rows_of(compare(one, one))["accuracy"]
    assert (row.interval, row.verdict) == (None, "equal")
    assert "one person" in row.note


def test_junit_counts_what_it_holds(pair):
    a, b = pair
    del b["latency_steady_ns"]["engine"]
    drop = 100 * (a["accuracy"] - b["accuracy"])
    allowed = {"max_accuracy_drop": drop / 2, "max_energy_increase": 5, "max_delay_increase": 1}
    root = ElementTree.fromstring(junit_xml(compare(a, b, allowed), "old\x00<&>", "new"))
    (suite,) = root
    cases = {case.get("name"): case for case in suite}
    assert int(suite.get("tests")) == len(cases) == 13
    assert {name for name, case in cases.items() if case.find("failure") is not None} == {"accuracy"}
    assert {name for name, case in cases.items() if case.find("error") is not None} == {"energy_uj"}
    skipped = {name for name, case in cases.items() if case.find("skipped") is not None}
    assert skipped == {"latency_engine_p50_us", "latency_engine_p99_us"}
    for node in (root, suite):
        assert [int(node.get(k)) for k in ("failures", "errors", "skipped")] == [1, 1, 2]
    assert "<&>" in suite.get("name")
    assert cases["accuracy"].find("failure").get("type") == "max_accuracy_drop"


def test_every_allowance_is_about_rows_there_are(pair):
    a, b = pair
    a["energy"] = b["energy"] = {"board": "x", "energy_uj": 1.0}
    names = set(rows_of(compare(a, b)))
    assert {name for allowance in ALLOWANCES.values() for name in allowance.rows} <= names


def test_the_command(results, tmp_path, capsys):
    first, second = tmp_path / "one" / "summary.json", tmp_path / "two.json"
    for path, result in zip((first, second), results, strict=True):
        write_summary(path, result)
    files = ["--json", str(tmp_path / "c.json"), "--junit", str(tmp_path / "c.xml")]
    assert main(["compare", str(first.parent), str(second), *files]) == 0
    shown = capsys.readouterr().out
    assert "same data: 5 people" in shown and "Accuracy" in shown
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["passed"] is True
    assert {m["name"] for m in found["metrics"]} >= {"accuracy", "event_f1", "latency_total_p99_us", "model_bytes"}
    ElementTree.parse(tmp_path / "c.xml")
    assert main(["compare", str(first), str(second), "--max-accuracy-drop", "0.01"]) == 1
    captured = capsys.readouterr()
    assert "edgehar: over: Accuracy is worse by" in captured.err
    assert main(["compare", str(second), str(first), "--max-accuracy-drop", "0.01"]) == 0
    capsys.readouterr()
    (tmp_path / "part.json").write_text(json.dumps({**json.loads(first.read_text()), "windows": None}))
    for wrong, code, words in (
        ([str(first), str(tmp_path / "none")], 2, "no summary.json"),
        (
            [str(first), str(tmp_path / "part.json")],
            1,
            "is no whole summary.json: windows is None, expected a",
        ),
        ([str(first), str(second), "--max-accuracy-drop", "-1"], 2, "at least 0"),
        ([str(first), str(tmp_path / "c.xml")], 1, "is not JSON"),
        ([str(first), str(tmp_path / "c.json")], 1, "schema_version is None"),
    ):
        assert main(["compare", *wrong]) == code
        assert words in capsys.readouterr().err


def test_bundles_are_simulated(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("EDGEHAR_DATA", raising=False)
    monkeypatch.setenv("EDGEHAR_CACHE", str(tmp_path / "none"))
    assert main(["compare", "zoo:ds_cnn", "zoo:ds_cnn", "--seconds", "30", "--max-accuracy-drop", "0"]) == 0
    assert "equal" in capsys.readouterr().out
