"""Softmax, smoothing, debounce."""

from __future__ import annotations

import numpy as np
import pytest

from device_sim.decisions import SMOOTHINGS, Debounce, Decisions, make_smoothing, probabilities_of, softmax
from device_sim.results import Event
from edgehar.bundle import DecisionSpec, Head
from edgehar.errors import BundleError
from edgehar.signal import FLOAT32, QuantParams

QUANT = QuantParams(0.125, -7)
HEAD = Head("activity", "multiclass", ("a", "b", "c"), QUANT)


def one_hot(votes):
    return np.eye(3)[votes]


@pytest.mark.parametrize("quant", [QUANT, QuantParams(2.0**-12, 0, "int16"), FLOAT32], ids=lambda q: q.dtype)
def test_probabilities_of_any_format_are_those_of_the_real_logits(quant):
    outputs = quant.quantize(np.random.default_rng(0).normal(0, 4, (200, 6)).astype(np.float32))
    logits = quant.dequantize(outputs)
    found = probabilities_of("multiclass", quant)(outputs)
    assert np.allclose(found, softmax(logits), rtol=1e-5) and np.allclose(found.sum(axis=1), 1)
    assert np.array_equal(found[7:9], probabilities_of("multiclass", quant)(outputs[7:9]))
    alone = probabilities_of("multilabel", quant)(outputs)
    assert np.allclose(alone, 1 / (1 + np.exp(-logits.astype(np.float64))), rtol=1e-6)
    assert probabilities_of("binary", quant)(quant.quantize(np.float32([[0]]))).tolist() == [[0.5]]


def test_absurd_float_logits_still_give_numbers():
    outputs = np.float32([[np.nan, 1, -np.inf], [np.inf, 3e38, -np.inf]])
    for kind in ("multiclass", "multilabel"):
        assert np.isfinite(probabilities_of(kind, FLOAT32)(outputs)).all()


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
