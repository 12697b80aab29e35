"""Softmax, smoothing, debounce."""

from __future__ import annotations

import numpy as np
import pytest

from device_sim.decisions import SMOOTHINGS, Debounce, Decisions, Softmax, make_smoothing, softmax
from device_sim.results import Event
from edgehar.bundle import DecisionSpec, Head
from edgehar.errors import BundleError
from edgehar.signal import QuantParams

QUANT = QuantParams(0.125, -7)
HEAD = Head("activity", "multiclass", ("a", "b", "c"), QUANT)


def one_hot(votes):
    return np.eye(3)[votes]


def test_softmax_of_int8_logits_is_softmax_of_the_real_ones():
    outputs = np.random.default_rng(0).integers(-128, 128, (200, 6)).astype(np.int8)
    expected = softmax(QUANT.dequantize(outputs))
    assert np.allclose(Softmax(QUANT.scale)(outputs), expected, rtol=1e-12)
    assert np.allclose(expected.sum(axis=1), 1)


def test_ema_is_its_formula():
    smoothing = make_smoothing(DecisionSpec("ema", 0.75))
    p = np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]])
    labels, smoothed = smoothing.update(p)
    assert smoothed[:, 0].tolist() == [1, 0.75, 0.5625, 0.421875]
    assert labels.tolist() == [0, 0, 0, 1]
    smoothing.reset()
    assert smoothing.update(p[1:2])[0].tolist() == [1]


def test_majority_votes_and_takes_the_newest_of_equals():
    smoothing = make_smoothing(DecisionSpec("majority", 3))
    labels, shares = smoothing.update(one_hot([0, 1, 0, 2, 1, 1]))
    assert labels.tolist() == [0, 1, 0, 2, 1, 1]
    labels, shares = smoothing.update(one_hot([0, 1, 0]))
    assert labels.tolist() == [1, 1, 0]
    assert np.allclose(shares[-1], [2 / 3, 1 / 3, 0])


@pytest.mark.parametrize("name", SMOOTHINGS)
def test_cutting_a_stream_into_updates_changes_no_bit(name):
    p = np.random.default_rng(3).dirichlet(np.ones(3), 40)
    spec = DecisionSpec(name, 5 if name == "majority" else 0.6)
    whole = make_smoothing(spec).update(p)
    single = make_smoothing(spec)
    parts = [single.update(p[i : i + 1]) for i in range(len(p))]
    assert np.array_equal(whole[0], np.concatenate([part[0] for part in parts]))
    assert np.array_equal(whole[1], np.concatenate([part[1] for part in parts]))


def events_of(labels, min_decisions):
    debounce = Debounce(min_decisions)
    events = [debounce.update(label, float(i)) for i, label in enumerate(labels)]
    return [e for e in [*events, debounce.close(float(len(labels)))] if e is not None]


def test_debounce_announces_stretches():
    assert events_of([0, 0, 1, 1, 0], 1) == [Event(0, 0, 2), Event(1, 2, 4), Event(0, 4, 5)]
    assert events_of([0, 0, 1, 0, 0, 1, 1, 1], 2) == [Event(0, 0, 5), Event(1, 5, 8)]
    assert events_of([0, 0, 1, 2, 1, 1], 2) == [Event(0, 0, 4), Event(1, 4, 6)]
    assert events_of([0, 1, 0, 1], 2) == []
    assert events_of([], 1) == []


def test_events_of_a_decision_stage_carry_the_recordings_time():
    stage = Decisions(HEAD, DecisionSpec(), window=100, rate_hz=50.0)
    outputs = np.int8([[100, 0, 0], [100, 0, 0], [0, 100, 0]])
    batch = stage.update(np.array([0, 50, 100]), outputs)
    assert batch.labels.tolist() == [0, 0, 1]
    assert batch.ended == ((2, Event(0, 99 / 50, 199 / 50)),)
    assert stage.finish(samples=210) == Event(1, 199 / 50, 4.2)
    stage.reset()
    assert stage.finish(samples=0) is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (DecisionSpec("median"), "'median', expected none, ema, majority"),
        (DecisionSpec("ema", 1.0), "0 <= strength < 1"),
        (DecisionSpec("majority", 4), "odd number"),
        (DecisionSpec(min_decisions=0), "at least 1"),
    ],
)
def test_a_specification_out_of_range_is_refused(spec, message):
    with pytest.raises(BundleError, match=message):
        Decisions(HEAD, spec, 100, 50.0)


def test_a_head_that_is_no_choice_is_refused():
    with pytest.raises(BundleError, match="choose one"):
        Decisions(Head("tags", "multilabel", ("a", "b"), QUANT), DecisionSpec(), 100, 50.0)
