"""Event scores against hand-made tracks: a letter is a sample of an activity, a dot one of none."""

from __future__ import annotations

import numpy as np
import pytest

from device_sim.events.categories import (
    ANNOUNCED_CATEGORIES,
    TRUE_CATEGORIES,
    announced_codes,
    count_samples,
    true_codes,
)
from device_sim.events.delays import false_alarms, waits
from device_sim.events.matching import f1, matches
from device_sim.events.runs import Runs, all_runs, runs_of
from device_sim.events.score import delay_summary, event_scores, score
from device_sim.results import Event, RecordingTrace

LETTERS = {".": -1, "a": 0, "b": 1, "c": 2, "d": 3}


def track(drawn):
    return np.array([LETTERS[c] for c in drawn.replace(" ", "")], np.int16)


def events_of(drawn, rate_hz=1.0):
    """The log as events."""
    runs, labels = all_runs(track(drawn))
    rows = zip(labels.tolist(), runs.starts / rate_hz, runs.ends / rate_hz, strict=True)
    return tuple(Event(label, float(start), float(end)) for label, start, end in rows if label >= 0)


def trace(truth, log, told=None, subject="s1"):
    """A recording at 1 Hz; ``told`` draws when each event of the log was announced, at once if not given."""
    events = events_of(log)
    announced = tuple(e.start_s for e in (events if told is None else events_of(told)))
    nothing = np.empty(0, np.int16)
    labels = track(truth)
    return RecordingTrace(
        recording="r",
        subject=subject,
        rate_hz=1.0,
        sample_labels=labels,
        starts=nothing.astype(np.int64),
        truth=nothing,
        decisions=nothing,
        probabilities=np.empty((0, 3), np.float32),
        outputs=np.empty((0, 3), np.int8),
        baseline=None,
        events=events,
        announced_s=announced,
        samples=len(labels),
        invalid_samples=0,
    )


def categories(truth, log, label="a"):
    mine, theirs = runs_of(track(truth), LETTERS[label]), runs_of(track(log), LETTERS[label])
    return (
        [TRUE_CATEGORIES[code] for code in true_codes(mine, theirs)],
        [ANNOUNCED_CATEGORIES[code] for code in announced_codes(mine, theirs)],
    )


@pytest.mark.parametrize(
    ("truth", "log", "true", "announced"),
    [
        # exactly, too late, too early, and off by one sample at an end that touches
        ("..aaaa..", "..aaaa..", ["correct"], ["correct"]),
        ("..aaaa..", "....aa..", ["correct"], ["correct"]),
        ("..aaaa..", "aaa.....", ["correct"], ["correct"]),
        ("..aaaa..", "..bbba..", ["correct"], ["correct"]),
        # never announced; the announced one begins where the true one ends
        ("..aaaa..", "........", ["deleted"], []),
        ("..aaaa..", "..bbbb..", ["deleted"], []),
        ("..aaaa..", "......aa", ["deleted"], ["inserted"]),
        ("..aaaa..", "aa....aa", ["deleted"], ["inserted", "inserted"]),
        ("........", "..aaaa..", [], ["inserted"]),
        ("bbbbbbbb", "..aaaa..", [], ["inserted"]),
        # one true event in two parts and in three
        ("..aaaaaaa", "..aa.aaaa", ["fragmented"], ["fragmenting", "fragmenting"]),
        (".aaaaaaa.", "aabababaa", ["fragmented"], ["fragmenting"] * 4),
        # two true events in one announced
        (".aaa.aaa.", ".aaaaaaa.", ["merged", "merged"], ["merging"]),
        (".aaabaaa.", "...aaa...", ["merged", "merged"], ["merging"]),
        # the first in two parts, the second of which goes on over the gap
        (
            "aaaaa..aaa",
            "aa.aaaaa..",
            ["fragmented_merged", "merged"],
            ["fragmenting", "fragmenting_merging"],
        ),
        # both in parts, over the gap
        (
            "aaaaa..aaaaa",
            "aa.aaaaaa.aa",
            ["fragmented_merged", "fragmented_merged"],
            ["fragmenting", "fragmenting_merging", "fragmenting"],
        ),
        # one of everything
        (
            "aa....aaaa...aa.aa..aaa.",
            "...aa.a.aa...aaaaa..aa..",
            ["deleted", "fragmented", "merged", "merged", "correct"],
            ["inserted", "fragmenting", "fragmenting", "merging", "correct"],
        ),
    ],
)
def test_every_category(truth, log, true, announced):
    assert categories(truth, log) == (true, announced)


@pytest.mark.parametrize(
    ("truth", "log", "expected"),
    [
        ("..aaaa....", "..aaaa....", {"correct": 4}),
        ("..aaaa....", "..........", {"deleted": 4}),
        ("..........", "..aaaa....", {"inserted": 4}),
        ("..aaaaaa..", "...aaa....", {"correct": 3, "underfill_start": 1, "underfill_end": 2}),
        ("...aaa....", "..aaaaaa..", {"correct": 3, "overfill_start": 1, "overfill_end": 2}),
        ("..aaaaaa..", ".aa.bb.aaa", {"correct": 2, "fragmented": 4, "overfill_start": 1, "overfill_end": 2}),
        (".aa..b.aa.", ".aaaaaaa..", {"correct": 3, "merged": 4, "underfill_end": 1}),
        ("aaaa..aaaa", ".a.aaaa.a.", {
            "correct": 4, "underfill_start": 1, "fragmented": 2, "merged": 2, "underfill_end": 1}),
        ("aa.aa", "..a..", {"deleted": 4, "inserted": 1}),
    ],
)  # fmt: skip
def test_every_sample(truth, log, expected):
    samples = count_samples(runs_of(track(truth), 0), runs_of(track(log), 0))
    assert {name: value for name, value in vars(samples).items() if value} == expected
    assert samples.true == truth.count("a")
    assert samples.announced == log.count("a")


@pytest.mark.parametrize(
    ("truth", "log", "matched"),
    [
        ("aaaa", "aaaa", 1),
        ("aaaa....", "aaaaaaaa", 1),  # half of the union is enough
        ("aaaa.....", "aaaaaaaaa", 0),
        ("aaaa", "aa..", 1),
        ("aaaa", "a.a.", 0),
        ("aaaaaaa", "aaaa.aa", 1),  # the larger part
        ("aaa.aaa", "aaaaaaa", 0),  # neither is half
        ("aaaa.a", "aaaaaa", 1),
        (".aaaa", "aaaa.", 1),  # 3 of 5
        ("..aaaa", "aaaa..", 0),  # 2 of 6
        ("....", "aaaa", 0),
    ],
)
def test_matches(truth, log, matched):
    mine, theirs = matches(runs_of(track(truth), 0), runs_of(track(log), 0))
    assert len(mine) == len(theirs) == matched


def test_f1():
    assert f1(3, 4, 5) == pytest.approx(2 / (4 / 3 + 5 / 3))  # the harmonic mean of 3/4 and 3/5
    assert (f1(0, 1, 0), f1(0, 0, 0)) == (0.0, None)


@pytest.mark.parametrize(
    ("truth", "told", "delays", "flips"),
    [
        ("..aaaa", "..aaaa", [0], 0),
        ("..aaaa", "....aa", [2], 0),
        ("..aaaa", "bbbbba", [3], 0),
        ("..aaaa", "aaaaaa", [0], 0),  # announced before, and still
        ("..aaaa", "aabbaa", [2], 1),  # not any more when it began: b at its first sample, a at its third
        ("..aaaa", "aaabba", [0], 2),
        ("..aaaa..", "bbbbbbaa", [-1], 0),  # announced when it was over
        ("..aaaa", "bbccbb", [-1], 2),  # c at its first sample, and b
        ("aaaaaabbbbbb", "..aaaaaaabbb", [2, 3], 0),  # late, without a flip
        ("aaaaaabbbbbb", "..aaaacccbbb", [2, 3], 1),
        ("aaaaaabbbbbb", "..abaaaaabab", [2, 3], 4),
        ("aaa", "...", [-1], 0),
    ],
)
def test_delays_and_flips(truth, told, delays, flips):
    runs, labels = all_runs(track(truth))
    named = labels >= 0
    told_runs, told_labels = all_runs(track(told))
    said = told_labels >= 0
    waited = waits(Runs(runs.starts[named], runs.ends[named]), labels[named], told_runs.starts[said], told_labels[said])
    assert (waited.delays.tolist(), waited.flips) == (delays, flips)


def test_false_alarms_are_insertions_announced_where_nothing_is_labelled():
    scored = score(trace("...aaaa....aa", "bb.aaaabb..aa"), 3)
    assert (scored.false_alarms, scored.flips) == (2, 0)
    early = score(trace("...aaaa....aa", ".aaaaaa..aaaa"), 3)
    assert early.false_alarms == 0
    inside = score(trace("...aaaa....aa", "...abba....aa"), 3)
    assert (inside.false_alarms, inside.flips) == (0, 2)
    assert false_alarms(track("a."), np.array([5]), np.array([True])) == 0  # after the end


def test_what_names_no_activity_is_null_and_still_a_flip():
    scored = score(trace("...aaaa....aa", "ddaaadaadddaa"), 3)  # d: uncertain, the label after the three
    assert scored.false_alarms == 0
    assert scored.flips == 2  # d within the first, and back
    assert scored.announced.sum() == 3
    assert scored.samples[0].substituted == 0
    assert scored.samples[0].fragmented == 1


def test_delays_count_from_the_announcement_and_categories_from_the_log():
    # two decisions of debounce: the log dates the event back, the user heard of it two samples later
    scored = score(trace("..aaaa", "..aaaa", told="....aa"), 3)
    assert scored.delays == ((0, 2.0),)
    assert scored.true[0].tolist() == [1, 0, 0, 0, 0]
    assert scored.samples[0].underfill_start == 0


def test_delay_summary_is_nearest_rank():
    assert delay_summary([]) is None
    ten = delay_summary([10.0, 2, 3, 4, 5, 6, 7, 8, 9, 1])
    assert ten == {"p50": 5, "p90": 9, "max": 10, "mean": 5.5, "count": 10}
    assert delay_summary([2.0]) == {"p50": 2, "p90": 2, "max": 2, "mean": 2, "count": 1}


def test_scores_of_several_recordings_and_people():
    traces = [
        trace("..aaaa..bbbb", "..aaaa..bbbb"),
        trace("..aaaa..bbbb", "..aaaaaaaaaa"),
        trace("aaaa", "cccc", subject="s2"),
    ]
    found = event_scores(traces, ["A", "B", "C"])
    assert (found["count"], found["true_count"]) == (4, 5)
    assert found["true"] == {"correct": 3, "fragmented": 0, "merged": 0, "fragmented_merged": 0, "deleted": 2}
    assert found["announced"]["inserted"] == 1
    assert found["matched"] == 2  # a of the second recording is 4 of 10
    assert found["f1"] == pytest.approx(2 * 2 / (5 + 4))
    # cut to the labelled stretches, a of the second recording is two: aaaa, which matches, and the four under bbbb
    assert found["f1_where_labelled"] == pytest.approx(2 * 3 / (5 + 5))
    assert found["macro_f1"] == pytest.approx((2 * 1 / (3 + 2) + 2 * 1 / (2 + 1)) / 2)
    hours = {"labelled_hours": 16 / 3600, "null_hours": 8 / 3600, "false_alarms": 0}
    assert found["per_subject"] == [
        {"subject": "s1", "true": [2, 2, 0], "announced": [2, 1, 0], "matched": [1, 1, 0], "undetected": 1,
         "delays_s": [0.0, 0.0, 0.0], "flips": 0, **hours},
        {"subject": "s2", "true": [1, 0, 0], "announced": [0, 0, 1], "matched": [0, 0, 0], "undetected": 1,
         "delays_s": [], "flips": 1, **hours, "labelled_hours": 4 / 3600, "null_hours": 0.0},
    ]  # fmt: skip
    first = found["per_activity"][0]
    assert (first["label"], first["true_count"], first["count"], first["recall"]) == ("A", 3, 2, 1 / 3)
    assert first["samples"]["overfill_end"] == 6
    assert first["samples"]["announced_in_null"] == 2
    assert first["samples"]["substituted"] == 4  # c in the third
    assert found["samples"] == {"correct": 12, "substituted": 8, "deleted": 0, "inserted": 2, "null": 6}
    assert found["per_activity"][2]["precision"] == 0.0
    assert found["per_activity"][2]["recall"] is None
    assert found["labelled_hours"] == pytest.approx(20 / 3600)
    assert found["null_hours"] == pytest.approx(8 / 3600)


def test_without_labels_there_is_nothing_to_compare_with():
    unlabelled = trace("....", "aabb")
    object.__setattr__(unlabelled, "sample_labels", None)
    found = event_scores([unlabelled], ["A", "B"])
    assert (found["count"], found["per_hour"], found["true_count"]) == (2, 1800.0, 0)
    assert found["f1"] is None
    assert found["per_activity"] == []
    with pytest.raises(ValueError, match="no labels"):
        score(unlabelled, 2)
    # of a recording whose every sample is unlabelled the truth is known: nothing
    null = event_scores([trace("....", "aabb")], ["A", "B"])
    assert (null["f1"], null["macro_f1"], null["flips_per_hour"]) == (0.0, None, None)
    assert null["false_alarms_per_hour"] == 1800.0
