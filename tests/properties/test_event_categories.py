"""What must hold of event scores whatever the tracks are, against definitions that look at one sample at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from device_sim.events.categories import MISSED, announced_codes, count_samples, true_codes
from device_sim.events.delays import waits
from device_sim.events.matching import matches
from device_sim.events.runs import Runs, all_runs, overlaps, runs_of

CLASSES = 3


def random_track(rng, samples, stretch):
    """Stretches of random labels and lengths, none (-1) among them."""
    labels = rng.integers(-1, CLASSES, samples)
    return np.repeat(labels, rng.integers(1, stretch + 1, samples))[:samples].astype(np.int16)


def pairs():
    rng = np.random.default_rng(20110106)
    for _ in range(400):
        samples = int(rng.integers(1, 120))
        truth = random_track(rng, samples, int(rng.integers(1, 30)))
        log = random_track(rng, samples, int(rng.integers(1, 30)))
        if rng.random() < 0.5:  # mostly right, as a device is
            log = np.where(rng.random(samples) < 0.8, truth, log)
        yield truth, log


PAIRS = list(pairs())


def segments(truth, log):
    """Ward's pieces: (start, end, true?, announced?) between two changes of either, for boolean tracks."""
    changes = np.flatnonzero((np.diff(truth.astype(int)) != 0) | (np.diff(log.astype(int)) != 0)) + 1
    edges = [0, *changes.tolist(), len(truth)]
    return [(a, b, bool(truth[a]), bool(log[a])) for a, b in pairwise(edges)]


def samples_by_segments(truth, log):
    """Samples of each category by the neighbours of each segment, as the paper has it."""
    found = dict.fromkeys(
        ("correct", "deleted", "fragmented", "underfill_start", "underfill_end", "inserted", "merged",
         "overfill_start", "overfill_end"), 0
    )  # fmt: skip
    pieces = segments(truth, log)
    names = {
        (True, False): ("deleted", "underfill_start", "underfill_end", "fragmented"),
        (False, True): ("inserted", "overfill_start", "overfill_end", "merged"),
    }
    for i, (start, end, true, announced) in enumerate(pieces):
        if not true and not announced:
            continue
        before = i > 0 and pieces[i - 1][2:] == (True, True)
        after = i + 1 < len(pieces) and pieces[i + 1][2:] == (True, True)
        name = "correct" if true and announced else names[true, announced][after + 2 * before]
        found[name] += end - start
    return found


@pytest.mark.parametrize("label", range(CLASSES))
def test_samples_are_those_of_the_segments(label):
    for truth, log in PAIRS:
        found = vars(count_samples(runs_of(truth, label), runs_of(log, label)))
        assert {name: v for name, v in found.items() if name not in ("announced_in_null", "substituted")} == (
            samples_by_segments(truth == label, log == label)
        )


@pytest.mark.parametrize("label", range(CLASSES))
def test_every_event_is_in_one_category_and_both_sides_agree(label):
    for truth, log in PAIRS:
        mine, theirs = runs_of(truth, label), runs_of(log, label)
        true, announced = true_codes(mine, theirs), announced_codes(mine, theirs)
        assert (len(true), len(announced)) == (len(mine), len(theirs))
        assert (true == 0).sum() == (announced == 0).sum()
        # a fragmented event needs two that fragment it, a merging one two that it merges
        assert np.isin(true, (1, 3)).sum() * 2 <= np.isin(announced, (1, 3)).sum() * 2 + len(true)
        assert np.isin(true, (1, 3)).any() == np.isin(announced, (1, 3)).any()
        assert np.isin(true, (2, 3)).any() == np.isin(announced, (2, 3)).any()
        samples = count_samples(mine, theirs)
        assert samples.true == (truth == label).sum()
        assert samples.announced == (log == label).sum()
        assert (samples.deleted > 0) == (true == MISSED).any()
        assert (samples.inserted > 0) == (announced == MISSED).any()
        assert (samples.fragmented > 0) == np.isin(true, (1, 3)).any()
        assert (samples.merged > 0) == np.isin(announced, (2, 3)).any()


@pytest.mark.parametrize("label", range(CLASSES))
def test_truth_and_log_change_places(label):
    swap = np.array([0, 2, 1, 3, 4])  # what is fragmented one way is merging the other way
    for truth, log in PAIRS:
        mine, theirs = runs_of(truth, label), runs_of(log, label)
        assert np.array_equal(swap[true_codes(mine, theirs)], announced_codes(theirs, mine))
        assert len(matches(mine, theirs)[0]) == len(matches(theirs, mine)[0])


@pytest.mark.parametrize("label", range(CLASSES))
def test_time_runs_backwards(label):
    for truth, log in PAIRS:
        mine, theirs = runs_of(truth, label), runs_of(log, label)
        enim, sriaht = runs_of(truth[::-1], label), runs_of(log[::-1], label)
        assert np.array_equal(true_codes(mine, theirs), true_codes(enim, sriaht)[::-1])
        assert np.array_equal(announced_codes(mine, theirs), announced_codes(enim, sriaht)[::-1])
        assert len(matches(mine, theirs)[0]) == len(matches(enim, sriaht)[0])
        forth, back = vars(count_samples(mine, theirs)), vars(count_samples(enim, sriaht))
        for name, value in forth.items():
            mirrored = name.replace("start", "END").replace("end", "start").replace("END", "end")
            assert value == back[mirrored]


@pytest.mark.parametrize("label", range(CLASSES))
def test_matches_are_those_of_all_pairs_and_none_is_in_two(label):
    for truth, log in PAIRS:
        mine, theirs = runs_of(truth, label), runs_of(log, label)
        expected = []
        for i in range(len(mine)):
            for j in range(len(theirs)):
                one, other = (set(range(r.starts[k], r.ends[k])) for r, k in ((mine, i), (theirs, j)))
                if 2 * len(one & other) >= len(one | other):
                    expected.append((i, j))
        first, second = matches(mine, theirs)
        assert list(zip(first.tolist(), second.tolist(), strict=True)) == expected
        assert len(set(first.tolist())) == len(set(second.tolist())) == len(expected)


def test_overlaps_are_those_of_all_pairs():
    for truth, log in PAIRS[:100]:
        mine, theirs = runs_of(truth, 0), runs_of(log, 0)
        found = overlaps(mine, theirs)
        for i in range(len(mine)):
            touched = [
                j for j in range(len(theirs)) if theirs.starts[j] < mine.ends[i] and mine.starts[i] < theirs.ends[j]
            ]
            assert list(range(found.first[i], found.last[i])) == touched


def test_runs_tile_the_track():
    for truth, _ in PAIRS:
        runs, labels = all_runs(truth)
        assert np.array_equal(np.repeat(labels, runs.lengths), truth)
        assert (labels[1:] != labels[:-1]).all()
    empty, _ = all_runs(np.empty(0, np.int16))
    assert len(empty) == 0


def test_a_delay_is_the_first_sample_that_is_announced_right():
    for truth, told in PAIRS:
        said, heard = all_runs(told)
        named = heard >= 0
        # the device never falls silent again: what was announced holds until the next announcement
        announced_at, announced = said.starts[named], heard[named]
        at = np.searchsorted(announced_at, np.arange(len(truth)), "right") - 1
        holds = np.where(at >= 0, announced[np.maximum(at, 0)], -1) if len(announced) else np.full(len(truth), -1)
        runs, labels = all_runs(truth)
        true = labels >= 0
        events = Runs(runs.starts[true], runs.ends[true])
        waited = waits(events, labels[true], announced_at, announced)
        for i, label in enumerate(labels[true]):
            right = np.flatnonzero(holds[events.starts[i] : events.ends[i]] == label)
            assert waited.delays[i] == (right[0] if len(right) else -1)
        inside = sum(bool(truth[a] >= 0) for a in announced_at)
        assert 0 <= waited.flips <= inside
