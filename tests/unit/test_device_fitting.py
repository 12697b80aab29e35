"""What of the decision stage is learnt, from networks whose behaviour is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from device_sim.decisions import Labelling, softmax
from device_sim.decisions.fitting import (
    Heard,
    activities_at_decisions,
    fit_decision,
    fit_grammar,
    fit_temperature,
)
from device_sim.decisions.unfamiliar import Unfamiliar
from device_sim.decisions.wish import parse_decision
from edgehar.errors import DataError, UsageError
from edgehar.signal import FLOAT32, window_labels

WINDOW, HOP = 8, 4


def heard(seed: int, samples: int = 4000, sharpness: float = 1.0) -> Heard:
    """Three activities in stretches; logits whose softmax is right about how sure it is, times ``sharpness``."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.full(rng.integers(60, 200), rng.integers(-1, 3)) for _ in range(samples // 100)])
    labels = labels.astype(np.int16)
    truth = window_labels(labels, WINDOW, HOP)
    true = np.where(truth >= 0, truth, rng.integers(0, 3, len(truth)))
    noise = rng.normal(0, 1, (len(truth), 3))
    # of unit-variance Gaussian evidence with means 1.5 apart, the log-likelihoods themselves are calibrated logits
    evidence = noise + 1.5 * np.eye(3)[true]
    return Heard((1.5 * evidence * sharpness).astype(np.float32), labels)


TRAIN = [heard(seed) for seed in range(6)]
VALIDATION = [heard(seed) for seed in range(10, 13)]


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_a_scaling(sharpness):
    parts = [heard(seed, sharpness=sharpness) for seed in range(20, 26)]
    truth = np.concatenate([window_labels(p.labels, WINDOW, HOP) for p in parts])
    logits = np.concatenate([p.logits for p in parts])
    temperature, _ = fit_temperature(logits[truth >= 0], truth[truth >= 0])
    assert temperature == pytest.approx(sharpness, rel=0.1)


def test_gaps_belong_to_the_activity_before_them():
    labels = np.int16([-1] * 4 + [2] * 10 + [-1] * 6 + [0] * 10)
    assert activities_at_decisions(labels, 8, 4).tolist() == [2, 2, 2, 2, 0, 0]
    assert len(activities_at_decisions(labels[:7], 8, 4)) == 0
    assert len(activities_at_decisions(np.full(50, -1, np.int16), 8, 4)) == 0


def test_the_grammar_counts_what_follows_what():
    one = Heard(np.zeros((9, 3), np.float32), np.repeat(np.int16([0, 1, 2]), 16))
    grammar = fit_grammar([one], 3, 8, 8)  # decisions at 7, 15, 23, ...: 0 0 1 1 2 2
    assert np.allclose(grammar.transitions, [[2 / 5, 2 / 5, 1 / 5], [1 / 5, 2 / 5, 2 / 5], [1 / 4, 1 / 4, 1 / 2]])
    assert np.allclose(grammar.prior, 1 / 3)
    assert grammar.problems(3) == []
    with pytest.raises(DataError, match="no window of label 1"):
        fit_grammar([replace(one, labels=np.repeat(np.int16([0, 2]), 24))], 3, 8, 8)


def test_thresholds_keep_to_their_rates():
    fitted = fit_decision(parse_decision("ema:0.3,uncertain=5%,unknown=2%"), TRAIN, VALIDATION, WINDOW, HOP)
    spec = fitted.spec
    assert fitted.windows == sum((window_labels(h.labels, WINDOW, HOP) >= 0).sum() for h in VALIDATION)
    assert fitted.nll <= fitted.nll_before and spec.familiar is not None and spec.problems(3) == []
    right = unsure = known = strange = 0
    for each in VALIDATION:
        truth = window_labels(each.labels, WINDOW, HOP)
        plain = replace(spec, uncertain_below=0.0, familiar=None)
        labels, p = Labelling(plain, 3).update(softmax(each.logits, spec.temperature))
        hit = (truth >= 0) & (labels == truth)
        right, unsure = right + hit.sum(), unsure + (p.max(axis=1)[hit] < spec.uncertain_below).sum()
        far = Unfamiliar(spec.familiar, FLOAT32)(each.logits)
        known, strange = known + (truth >= 0).sum(), strange + far[truth >= 0].sum()
    assert unsure / right == pytest.approx(0.05, abs=0.002)
    assert strange / known == pytest.approx(0.02, abs=0.002)


def test_the_filter_beats_single_windows_of_people_it_was_not_fitted_on():
    spec = fit_decision(parse_decision("hmm"), TRAIN, VALIDATION, WINDOW, HOP).spec
    alone = filtered = scored = 0
    for each in [heard(seed) for seed in range(30, 36)]:
        truth = window_labels(each.labels, WINDOW, HOP)
        labels = Labelling(spec, 3).update(softmax(each.logits, spec.temperature))[0]
        scored += (truth >= 0).sum()
        alone += ((truth >= 0) & (each.logits.argmax(axis=1) == truth)).sum()
        filtered += ((truth >= 0) & (labels == truth)).sum()
    assert filtered / scored > alone / scored + 0.1


def test_too_little_to_fit_on_is_refused():
    wish = parse_decision("hmm")
    with pytest.raises(DataError, match="have 0 windows of one activity, expected at least 20"):
        fit_decision(wish, TRAIN, [], WINDOW, HOP)
    with pytest.raises(UsageError, match="needs a rate of false alarms, as unknown=1%"):
        fit_decision(parse_decision("hmm:unknown"), TRAIN, VALIDATION, WINDOW, HOP)
    with pytest.raises(DataError, match="no recordings of training people"):
        fit_decision(wish, [], VALIDATION, WINDOW, HOP)
