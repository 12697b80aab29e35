"""A decision stage in one word of the command line: ``none``, ``ema:0.6``, ``majority:5``, ``hmm:lag=2,uncertain=1%``.

``NAME[:STRENGTH][,KEY=VALUE...]``, with a colon before the first of what follows the name. What has to be fitted
(grammar, temperature, thresholds that a rate stands for) comes from the bundle, or from ``edgehar decide``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgehar.decision_spec import MOST_LAG, SMOOTHINGS, DecisionSpec
from edgehar.errors import UsageError

STRENGTHS = {"ema": 0.6, "majority": 5.0}  # where none is given
KEYS = ("lag", "debounce", "hysteresis", "temperature", "uncertain", "unknown")
FORM = "NAME[:STRENGTH][,KEY=VALUE...], as ema:0.6, majority:5, hmm or hmm:lag=2,debounce=2,uncertain=1%"


@dataclass(frozen=True)
class DecisionWish:
    """What was asked for.

    Attributes:
        text: as it was written.
        smoothing, strength, lag, min_decisions, hysteresis: as in :class:`DecisionSpec`.
        temperature: None where it is to be the fitted one.
        uncertain_below: probability below which a decision is uncertain, 0 for never.
        uncertain_rate, unknown_rate: share of windows of known activities that may be rejected by mistake, in
            (0, 1), of which a fit makes the thresholds; None where nothing is to be fitted.
        keeps_unknown: ``unknown`` without a rate: as the bundle has it.
    """

    text: str
    smoothing: str
    strength: float = 0.0
    lag: int = 0
    min_decisions: int = 1
    hysteresis: float = 0.0
    temperature: float | None = None
    uncertain_below: float = 0.0
    uncertain_rate: float | None = None
    unknown_rate: float | None = None
    keeps_unknown: bool = False

    def of(self, spec: DecisionSpec) -> DecisionSpec:
        """Return the stage with what ``spec`` has fitted.

        Raises:
            UsageError: it has not been fitted.
        """
        fit = "fit it with: edgehar decide BUNDLE --out NEW --decision"
        if self.uncertain_rate is not None or self.unknown_rate is not None:
            raise UsageError(f"decision {self.text!r}: a rate becomes a threshold by a fit; {fit} {self.text}")
        if self.smoothing == "hmm" and spec.grammar is None:
            raise UsageError(f"decision {self.text!r}: this bundle has no grammar; {fit} {self.text}")
        if self.keeps_unknown and spec.familiar is None:
            raise UsageError(
                f"decision {self.text!r}: this bundle does not know what is unknown; {fit} {self.smoothing}:unknown=1%"
            )
        return replace(
            spec,
            smoothing=self.smoothing,
            strength=self.strength,
            min_decisions=self.min_decisions,
            temperature=spec.temperature if self.temperature is None else self.temperature,
            hysteresis=self.hysteresis,
            uncertain_below=self.uncertain_below,
            familiar=spec.familiar if self.keeps_unknown else None,
            lag=self.lag,
        )


def parse_decision(text: str) -> DecisionWish:
    """Return what a word asks for.

    Raises:
        UsageError: it is not of the form, names what there is not, or a value is out of range.
    """
    name, _, rest = text.partition(":")
    items = [item for item in rest.split(",") if item]
    if name not in SMOOTHINGS or (":" in text) != bool(items):
        raise _wrong(text, f"expected {FORM}; names are {', '.join(SMOOTHINGS)}")
    strength = STRENGTHS.get(name, 0.0)
    if items and "=" not in items[0] and items[0] not in KEYS:
        if name not in STRENGTHS:
            raise _wrong(text, f"{name} has no strength; keys are {', '.join(KEYS)}")
        strength = _number(text, "strength", items.pop(0))
    wish = DecisionWish(text, name, strength)
    for item in items:
        key, equals, value = item.partition("=")
        if key not in KEYS or (not equals and key != "unknown"):
            raise _wrong(text, f"{item!r}, expected KEY=VALUE; keys are {', '.join(KEYS)}")
        wish = _with(wish, key, value)
    plain = replace(wish, uncertain_rate=None, unknown_rate=None, keeps_unknown=False, lag=0)
    if name == "hmm":  # its grammar is the bundle's
        plain = replace(plain, smoothing="none")
    problems = plain.of(DecisionSpec()).problems(0)
    if wish.lag and name != "hmm":
        problems.append("lag belongs to hmm")
    if wish.lag > MOST_LAG:
        problems.append(f"lag is {wish.lag}, expected 0 to {MOST_LAG}")
    if problems:
        raise _wrong(text, "; ".join(problems))
    return wish


def _with(wish: DecisionWish, key: str, value: str) -> DecisionWish:
    text = wish.text
    if key == "lag":
        return replace(wish, lag=_whole(text, key, value))
    if key == "debounce":
        return replace(wish, min_decisions=_whole(text, key, value))
    if key == "unknown":
        return replace(wish, unknown_rate=_rate(text, value)) if value else replace(wish, keeps_unknown=True)
    if key == "uncertain" and value.endswith("%"):
        return replace(wish, uncertain_rate=_rate(text, value))
    number = _number(text, key, value)
    if key == "uncertain":
        return replace(wish, uncertain_below=number)
    return replace(wish, hysteresis=number) if key == "hysteresis" else replace(wish, temperature=number)


def _number(text: str, key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise _wrong(text, f"{key} is {value!r}, expected a number") from None


def _whole(text: str, key: str, value: str) -> int:
    if not value.isdecimal():
        raise _wrong(text, f"{key} is {value!r}, expected a whole number of decisions")
    return int(value)


def _rate(text: str, value: str) -> float:
    rate = _number(text, "the false-alarm rate", value.removesuffix("%")) / 100
    if not value.endswith("%") or not 0 < rate < 1:
        raise _wrong(text, f"the false-alarm rate is {value!r}, expected percent between 0% and 100%")
    return rate


def _wrong(text: str, what: str) -> UsageError:
    return UsageError(f"decision {text!r}: {what}")
