"""What of the decision stage is learnt: the grammar and what is familiar from training people, the rest from others.

Temperature and thresholds say how sure a network is of people it has not seen, so they come from validation people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions.numbers import F64
from device_sim.decisions.probabilities import softmax
from device_sim.decisions.stage import Labelling
from device_sim.decisions.unfamiliar import Unfamiliar
from device_sim.decisions.wish import DecisionWish
from edgehar.decision_spec import (
    LEAST_DEVIATION,
    LEAST_PRIOR,
    LEAST_TRANSITION,
    MOST_DISTANCE,
    DecisionSpec,
    Familiar,
    Grammar,
)
from edgehar.errors import DataError, UsageError
from edgehar.signal import FLOAT32, window_labels

PSEUDO_COUNT = 1.0  # of each transition, as if it had been seen so often (Laplace)
TEMPERATURES = np.geomspace(0.05, 20, 121)  # tried; 5 % apart
FEWEST = 20  # scored windows that a threshold may be read from


@dataclass(frozen=True, eq=False)
class Heard:
    """What the network said about one recording, and what was true.

    Attributes:
        logits: ``[N, K]`` real numbers, of the first head, for windows at 0, hop, 2 hop, ...
        labels: ``[T]`` label of each sample, -1 where none of the head's.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int16]


@dataclass(frozen=True)
class Fitted:
    """A decision stage and how far what it was fitted on goes.

    Attributes:
        spec: the stage.
        windows: of validation people, that carry one label.
        nll, nll_before: mean negative log-likelihood of these at the temperature and at 1.
    """

    spec: DecisionSpec
    windows: int
    nll: float
    nll_before: float


def fit_decision(
    wish: DecisionWish, train: Sequence[Heard], validation: Sequence[Heard], window: int, hop: int
) -> Fitted:
    """Return the decision stage that was asked for, with all that has to be learnt.

    Args:
        wish: from the command line.
        train: people the network was trained on; grammar, prior and what is familiar come from them.
        validation: people it was not trained on; temperature and thresholds come from them.
        window: samples.
        hop: samples.

    Raises:
        UsageError: ``unknown`` has no rate.
        DataError: there are no training people, too few windows of one label, or a class has none.
    """
    if wish.keeps_unknown:
        raise UsageError(f"decision {wish.text!r}: a fit of unknown needs a rate of false alarms, as unknown=1%")
    truth = [window_labels(heard.labels, window, hop)[: len(heard.logits)] for heard in validation]
    known = np.concatenate([np.empty(0, np.int16), *truth])
    if (known >= 0).sum() < FEWEST:
        raise DataError(
            f"validation people have {int((known >= 0).sum())} windows of one activity, expected at least {FEWEST}; "
            "train with more validation_subjects"
        )
    if not train:
        raise DataError("there are no recordings of training people to learn a grammar from")
    classes = validation[0].logits.shape[1]
    logits = np.concatenate([heard.logits for heard in validation])[known >= 0]
    temperature, nll = fit_temperature(logits, known[known >= 0])
    spec = DecisionSpec(temperature=temperature, grammar=fit_grammar(train, classes, window, hop))
    if wish.unknown_rate is not None:
        familiar = fit_familiar(train, classes, window, hop)
        spec = replace(spec, familiar=_limited(familiar, logits, wish.unknown_rate))
    rates = replace(wish, uncertain_rate=None, unknown_rate=None, keeps_unknown=spec.familiar is not None)
    spec = rates.of(spec)
    if wish.uncertain_rate is not None:
        spec = replace(spec, uncertain_below=_least_sure(spec, classes, validation, truth, wish.uncertain_rate))
    return Fitted(spec, len(logits), nll, negative_log_likelihood(logits, known[known >= 0], 1.0))


def fit_temperature(logits: NDArray[np.float32], truth: NDArray[np.int16]) -> tuple[float, float]:
    """Return the temperature at which logits ``[N, K]`` are likeliest for ``truth`` ``[N]``, and that likelihood.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """
    likelihoods = [negative_log_likelihood(logits, truth, t) for t in TEMPERATURES]
    best = int(np.argmin(likelihoods))
    return round(float(TEMPERATURES[best]), 4), likelihoods[best]


def negative_log_likelihood(logits: NDArray[np.float32], truth: NDArray[np.int16], temperature: float) -> float:
    """Return the mean over windows."""
    scaled = logits.astype(np.float64) / temperature
    top = scaled.max(axis=1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(scaled - top).sum(axis=1))
    return float((log_sum - scaled[np.arange(len(truth)), truth]).mean())


def activities_at_decisions(labels: NDArray[np.int16], window: int, hop: int) -> NDArray[np.int16]:
    """Return the activity at each decision: that of the window's last sample, in gaps the one before the gap."""
    known = np.flatnonzero(labels >= 0)
    if not len(known) or len(labels) < window:
        return np.empty(0, np.int16)
    last = np.where(labels >= 0, np.arange(len(labels)), known[0])
    carried = labels[np.maximum.accumulate(last)]
    return carried[window - 1 :: hop]


def fit_grammar(train: Sequence[Heard], classes: int, window: int, hop: int) -> Grammar:
    """Return how often an activity was followed by each from one decision to the next, and how common each is.

    What was never seen to follow gets the probability of one more sighting. Source: Laplace's rule of succession.

    Raises:
        DataError: an activity has no window.
    """
    counts = np.full((classes, classes), PSEUDO_COUNT)
    windows = np.zeros(classes)
    for heard in train:
        path = activities_at_decisions(heard.labels, window, hop)
        np.add.at(counts, (path[:-1], path[1:]), 1)
        truth = window_labels(heard.labels, window, hop)
        windows += np.bincount(truth[truth >= 0], minlength=classes)
    if not windows.all():
        raise DataError(f"training people have no window of label {int(windows.argmin())}; a grammar needs all labels")
    transitions = np.maximum(counts / counts.sum(axis=1, keepdims=True), LEAST_TRANSITION)
    prior = np.maximum(windows / windows.sum(), LEAST_PRIOR)
    return Grammar(_rows(transitions), tuple(round(float(p), 7) for p in prior))


def fit_familiar(train: Sequence[Heard], classes: int, window: int, hop: int) -> Familiar:
    """Return mean and deviation of each logit over the windows of each label, with no threshold yet.

    Raises:
        DataError: a label has fewer than two windows.
    """
    truth = np.concatenate([window_labels(heard.labels, window, hop)[: len(heard.logits)] for heard in train])
    logits = np.concatenate([heard.logits for heard in train]).astype(np.float64)
    counts = np.bincount(truth[truth >= 0], minlength=classes)
    if counts.min() < 2:
        raise DataError(f"training people have {counts.min()} windows of label {counts.argmin()}, expected 2 or more")
    groups = [logits[truth == label] for label in range(classes)]
    means = _rows(np.array([group.mean(axis=0) for group in groups]))
    deviations = _rows(np.array([np.maximum(group.std(axis=0), LEAST_DEVIATION) for group in groups]))
    return Familiar(means, deviations, MOST_DISTANCE)


def _limited(familiar: Familiar, logits: NDArray[np.float32], rate: float) -> Familiar:
    """With a threshold that calls a share of these windows ``[N, K]``, of known activities, unknown."""
    distances = Unfamiliar(familiar, FLOAT32).distances(logits)
    return replace(familiar, most=round(float(np.quantile(distances, 1 - rate, method="higher")), 4))


def _least_sure(
    spec: DecisionSpec, classes: int, heard: Sequence[Heard], truth: Sequence[NDArray[np.int16]], rate: float
) -> float:
    """The probability that a share of the right decisions falls short of."""
    sure = []
    for each, known in zip(heard, truth, strict=True):
        labels, probabilities = Labelling(spec, classes).update(softmax(each.logits, spec.temperature))
        about = known[: max(0, len(labels) - spec.delay)]
        labels, probabilities = labels[spec.delay :], probabilities[spec.delay :]
        right = (about >= 0) & (labels == about)
        sure.append(probabilities[right, about[right]])
    found = np.concatenate(sure)
    if len(found) < FEWEST:
        raise DataError(f"{len(found)} decisions are right, expected at least {FEWEST} to read a threshold from")
    return min(round(float(np.quantile(found, rate, method="lower")), 6), 0.999)


def _rows(values: F64) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(v), 7) for v in row) for row in values)
