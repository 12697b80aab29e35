"""Softmax, smoothing, debounce."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from device_sim.decisions import SMOOTHINGS, Debounce, Decisions, Labelling, probabilities_of, softmax
from device_sim.results import Event
from edgehar import decision_spec
from edgehar.decision_spec import DecisionSpec, Familiar, Grammar
from edgehar.errors import BundleError
from edgehar.manifest import Head
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
    smoothing = Labelling(DecisionSpec("ema", 0.75), 3)
    p = np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]])
    labels, smoothed = smoothing.update(p)
    assert smoothed[:, 0].tolist() == [1, 0.75, 0.5625, 0.421875]
    assert labels.tolist() == [0, 0, 0, 1]
    smoothing.reset()
    assert smoothing.update(p[1:2])[0].tolist() == [1]


def test_majority_votes_and_takes_the_newest_of_equals():
    smoothing = Labelling(DecisionSpec("majority", 3), 3)
    labels, shares = smoothing.update(one_hot([0, 1, 0, 2, 1, 1]))
    assert labels.tolist() == [0, 1, 0, 2, 1, 1]
    labels, shares = smoothing.update(one_hot([0, 1, 0]))
    assert labels.tolist() == [1, 1, 0]
    assert np.allclose(shares[-1], [2 / 3, 1 / 3, 0])


GRAMMAR = Grammar(((0.9, 0.08, 0.02), (0.1, 0.85, 0.05), (0.3, 0.1, 0.6)), (0.5, 0.3, 0.2))
FAMILIAR = Familiar(((0.0, -2.0, -3.0), (-2.0, 0.0, -0.5), (0.0, -1.0, 0.0)), ((1.0, 2.0, 1.5),) * 3, 2.5)
SPECS = [
    DecisionSpec("none", uncertain_below=0.5),
    DecisionSpec("ema", 0.6, hysteresis=0.2),
    DecisionSpec("majority", 5),
    DecisionSpec("hmm", grammar=GRAMMAR),
    DecisionSpec("hmm", grammar=GRAMMAR, lag=3, hysteresis=0.1, uncertain_below=0.4),
    DecisionSpec("hmm", grammar=GRAMMAR, lag=2, familiar=FAMILIAR),
    DecisionSpec("none", familiar=FAMILIAR),
]


def test_all_smoothings_are_tried():
    assert {spec.smoothing for spec in SPECS} == set(SMOOTHINGS) == set(decision_spec.SMOOTHINGS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.smoothing)
def test_cutting_a_stream_into_updates_changes_no_bit(spec, dtype):
    p = np.random.default_rng(3).dirichlet(np.ones(3), 40).astype(dtype)
    logits = np.log(p)
    whole = Labelling(spec, 3).update(p, logits)
    single = Labelling(spec, 3)
    parts = [single.update(p[i : i + 1], logits[i : i + 1]) for i in range(len(p))]
    assert np.array_equal(whole[0], np.concatenate([part[0] for part in parts]))
    assert np.array_equal(whole[1], np.concatenate([part[1] for part in parts]))


def by_enumeration(p, grammar, upto):
    """Posterior ``[upto, K]`` of each window given windows 0..upto-1, from every path there is."""
    count = p.shape[1]
    likelihood = p / np.array(grammar.prior)
    found = np.zeros((upto, count))
    for path in product(range(count), repeat=upto):
        steps = [grammar.transitions[a][b] for a, b in pairwise(path)]
        weight = np.prod([likelihood[i, state] for i, state in enumerate(path)]) * np.prod(steps)
        for i, state in enumerate(path):
            found[i, state] += weight
    return found / found.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_the_filter_gives_what_all_paths_together_give(lag):
    p = np.random.default_rng(5).dirichlet(np.ones(3), 7)
    _, found = Labelling(DecisionSpec("hmm", grammar=GRAMMAR, lag=lag), 3).update(p)
    for i in range(len(p)):
        about = max(i - lag, 0)
        assert np.allclose(found[i], by_enumeration(p, GRAMMAR, i + 1)[about], rtol=1e-5), i


def test_the_filter_holds_out_against_a_window_that_the_grammar_forbids():
    grammar = Grammar(((0.98, 0.0199, 0.0001), (0.02, 0.96, 0.02), (0.0001, 0.0199, 0.98)))
    here, there = [0.9, 0.05, 0.05], [0.05, 0.05, 0.9]
    stage = Labelling(DecisionSpec("hmm", grammar=grammar), 3)
    assert stage.update(np.float32([here, here, there, here, there]))[0].tolist() == [0] * 5
    assert stage.update(np.float32([there] * 3))[0].tolist()[-1] == 2


def test_no_stream_of_certain_windows_makes_the_filter_lose_its_numbers():
    grammar = Grammar(((1 - 2e-6, 1e-6, 1e-6), (1e-6, 1 - 2e-6, 1e-6), (1e-6, 1e-6, 1 - 2e-6)), (0.001, 0.5, 0.499))
    p = one_hot(np.random.default_rng(0).integers(0, 3, 500)).astype(np.float32)
    for lag in (0, 5):
        _, found = Labelling(DecisionSpec("hmm", grammar=grammar, lag=lag), 3).update(p)
        assert np.isfinite(found).all() and np.allclose(found.sum(axis=1), 1, atol=1e-5)
        assert found.min() > np.finfo(np.float32).tiny  # a denormal may be zero on a core that flushes them


@pytest.mark.parametrize("lag", [0, 2])
def test_enrolled_labels_join_the_grammar(lag):
    spec = DecisionSpec("hmm", grammar=GRAMMAR, lag=lag)
    p = np.random.default_rng(2).dirichlet(np.ones(3), 40).astype(np.float32)
    more = np.zeros((40, 5), np.float32)
    more[:, :3] = p
    plain, with_room = Labelling(spec, 3), Labelling(spec, 3, enrolled=2)
    labels, found = with_room.update(more)
    assert np.array_equal(found[:, :3], plain.update(p)[1]) and not found[:, 3:].any()
    more[20:30] = np.float32([0.1, 0.1, 0, 0, 0.8])
    with_room.reset()
    labels = with_room.update(more)[0].tolist()
    assert 4 not in labels[: 20 + lag] + labels[30 + lag :] and labels[22 + lag : 30 + lag] == [4] * 8


def test_hysteresis_wants_a_margin():
    stage = Labelling(DecisionSpec(hysteresis=0.25), 3)
    p = np.float32([[0.5, 0.5, 0], [0.4, 0.6, 0], [0.375, 0.625, 0], [0.25, 0.75, 0], [0.5, 0.375, 0.125]])
    assert stage.update(p)[0].tolist() == [0, 0, 0, 1, 1]
    stage.reset()
    assert stage.update(p[3:])[0].tolist() == [1, 1]


def test_what_is_not_sure_is_uncertain_and_starts_an_event_of_its_own():
    spec = DecisionSpec(uncertain_below=0.75)
    stage = Decisions(HEAD, spec, window=100, hop=50, rate_hz=50.0)
    batch = stage.update(np.array([0, 50, 100]), np.int8([[100, 0, 0], [10, 7, 9], [0, 100, 0]]))
    assert batch.labels.tolist() == [0, 3, 1] and spec.rejections == ("uncertain", "unknown")
    assert [event for _, event in batch.ended] == [Event(0, 99 / 50, 149 / 50), Event(3, 149 / 50, 199 / 50)]
    assert batch.probabilities.shape == (3, 3)


@pytest.mark.parametrize("lag", [0, 2])
def test_windows_unlike_all_that_is_known_are_unknown(lag):
    familiar = Familiar(((4.0, 0, 0), (0, 4.0, 0), (0, 0, 4.0)), ((1.0, 1.0, 1.0),) * 3, 9.0)
    grammar = Grammar(((0.9, 0.05, 0.05), (0.05, 0.9, 0.05), (0.05, 0.05, 0.9)))
    real = np.float32([[4, 0, 0], [4, 2.875, 0], [4, 3.125, 0], [12, 0, 0], [0, 0, 5], [0, 0, 5]])
    spec = DecisionSpec("hmm", grammar=grammar, lag=lag, familiar=familiar)
    stage = Decisions(HEAD, spec, window=100, hop=50, rate_hz=50.0)
    labels = stage.update(50 * np.arange(6), QUANT.quantize(real)).labels.tolist()
    assert labels[lag:] == [0, 0, 4, 4, 2, 2][: 6 - lag]
    in_real_numbers = Labelling(spec, 3).update(softmax(real), real)[0].tolist()
    assert in_real_numbers == labels
    assert Labelling(spec, 3).update(softmax(real), np.full((6, 3), np.nan))[0].tolist() == [4] * 6


def test_with_a_lag_an_event_starts_with_the_window_it_is_about():
    grammar = Grammar(((0.9, 0.05, 0.05), (0.05, 0.9, 0.05), (0.05, 0.05, 0.9)))
    outputs = np.int8([[100, 0, 0]] * 4 + [[0, 100, 0]] * 4)
    starts = 50 * np.arange(8)
    batches = {}
    for lag in (0, 2):
        stage = Decisions(HEAD, DecisionSpec("hmm", grammar=grammar, lag=lag), window=100, hop=50, rate_hz=50.0)
        batches[lag] = stage.update(starts, outputs)
    assert batches[0].ended == ((4, Event(0, 99 / 50, 299 / 50)),) and batches[0].announced == (0, 4)
    assert batches[2].ended == ((6, Event(0, 99 / 50, 299 / 50)),) and batches[2].announced == (0, 6)


def test_a_temperature_divides_the_logits():
    outputs = QUANT.quantize(np.random.default_rng(0).normal(0, 4, (50, 6)).astype(np.float32))
    found = probabilities_of("multiclass", QUANT, 2.5)(outputs)
    assert np.allclose(found, softmax(QUANT.dequantize(outputs) / np.float32(2.5)), rtol=1e-5)
    assert np.allclose(softmax(QUANT.dequantize(outputs), 2.5), found, rtol=1e-5)


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
    stage = Decisions(HEAD, DecisionSpec(), window=100, hop=50, rate_hz=50.0)
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
        (DecisionSpec("median"), "'median', expected none, ema, majority, hmm"),
        (DecisionSpec("ema", 1.0), "0 <= strength < 1"),
        (DecisionSpec("majority", 4), "odd number"),
        (DecisionSpec("hmm"), "hmm has no grammar"),
        (DecisionSpec("ema", 0.5, lag=2), "only hmm looks back"),
        (DecisionSpec(temperature=0), "temperature is 0, expected 0.01 to 100"),
        (DecisionSpec(uncertain_below=1.5), "uncertain_below is 1.5"),
        (DecisionSpec("hmm", grammar=Grammar(((0.5, 0.5),) * 2)), "has 2 rows, expected 3 of 3"),
        (DecisionSpec("hmm", grammar=Grammar(((0.5, 0.5, 0.1),) * 3)), "add up to 1"),
        (DecisionSpec("hmm", grammar=Grammar(((0.5, 0.5, 0.0),) * 3)), "outside 1e-06..1"),
        (DecisionSpec(familiar=replace(FAMILIAR, most=0)), "threshold 0, expected more than 0"),
        (DecisionSpec(familiar=replace(FAMILIAR, means=((0.0, 1.0),) * 3)), "3 rows of means, expected 3 of 3"),
        (DecisionSpec(familiar=replace(FAMILIAR, deviations=((0.0, 1.0, 1.0),) * 3)), "deviations below 0.001"),
        (DecisionSpec("hmm", grammar=replace(GRAMMAR, prior=(0.5, 0.5))), "expected 3 numbers"),
        (DecisionSpec(min_decisions=0), "min_decisions is 0, expected 1"),
    ],
)
def test_a_specification_out_of_range_is_refused(spec, message):
    with pytest.raises(BundleError, match=message):
        Decisions(HEAD, spec, 100, 50, 50.0)


def test_a_head_that_is_no_choice_is_refused():
    with pytest.raises(BundleError, match="choose one"):
        Decisions(Head("tags", "multilabel", ("a", "b"), QUANT), DecisionSpec(), 100, 50, 50.0)
