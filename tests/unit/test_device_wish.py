"""A decision stage in a word: what it asks for, what it takes from the bundle, what is refused."""

from __future__ import annotations

import pytest

from device_sim.decisions.wish import parse_decision
from edgehar.decision_spec import DecisionSpec, Familiar, Grammar
from edgehar.errors import UsageError

GRAMMAR = Grammar(((0.9, 0.1), (0.2, 0.8)), (0.4, 0.6))
FAMILIAR = Familiar(((0.0, 1.0), (1.0, 0.0)), ((1.0, 1.0),) * 2, 5.0)
FITTED = DecisionSpec("hmm", min_decisions=2, temperature=0.5, grammar=GRAMMAR, familiar=FAMILIAR, lag=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", DecisionSpec(temperature=0.5, grammar=GRAMMAR)),
        ("ema:0.7", DecisionSpec("ema", 0.7, temperature=0.5, grammar=GRAMMAR)),
        ("ema", DecisionSpec("ema", 0.6, temperature=0.5, grammar=GRAMMAR)),
        ("majority:3,debounce=2", DecisionSpec("majority", 3, 2, temperature=0.5, grammar=GRAMMAR)),
        ("hmm", DecisionSpec("hmm", temperature=0.5, grammar=GRAMMAR)),
        ("hmm:lag=2,unknown", DecisionSpec("hmm", temperature=0.5, grammar=GRAMMAR, familiar=FAMILIAR, lag=2)),
        ("none:unknown", DecisionSpec(temperature=0.5, grammar=GRAMMAR, familiar=FAMILIAR)),
        (
            "hmm:hysteresis=0.1,temperature=2,uncertain=0.4",
            DecisionSpec("hmm", temperature=2.0, hysteresis=0.1, uncertain_below=0.4, grammar=GRAMMAR),
        ),
    ],
)
def test_words(text, expected):
    assert parse_decision(text).of(FITTED) == expected


def test_rates_are_for_a_fit():
    wish = parse_decision("hmm:uncertain=1%,unknown=0.5%")
    assert (wish.uncertain_rate, wish.unknown_rate) == (0.01, 0.005)
    with pytest.raises(UsageError, match="a rate becomes a threshold by a fit; fit it with: edgehar decide BUNDLE"):
        wish.of(FITTED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hmm", "has no grammar"),
        ("none:unknown", "does not know what is unknown; fit it with: .*--out NEW --decision none:unknown=1%"),
    ],
)
def test_what_the_bundle_has_not(text, message):
    with pytest.raises(UsageError, match=message):
        parse_decision(text).of(DecisionSpec())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names are none, ema, majority, hmm"),
        ("median:3", "names are none"),
        ("hmm:", "expected NAME"),
        ("hmm:0.5", "hmm has no strength"),
        ("ema:much", "strength is 'much', expected a number"),
        ("ema:1", "0 <= strength < 1"),
        ("ema:nan", "0 <= strength < 1"),
        ("majority:4", "odd number"),
        ("majority:inf", "odd number"),
        ("ema:0.5,lag=1", "lag belongs to hmm"),
        ("hmm:lag=65", "lag is 65, expected 0 to 64"),
        ("hmm:lag=-1", "lag is '-1', expected a whole number"),
        ("hmm:debounce=0", "min_decisions is 0, expected 1"),
        ("hmm:hysteresis=1", "hysteresis is 1.0"),
        ("hmm:uncertain=2", "uncertain_below is 2.0"),
        ("hmm:uncertain", "expected KEY=VALUE"),
        ("hmm:unknown=1", "rate is '1', expected percent"),
        ("hmm:uncertain=0%", "expected percent between 0% and 100%"),
        ("hmm:speed=1", "keys are lag, debounce"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(UsageError, match=message):
        parse_decision(text)
