"""The decision stage's settings as the manifest has them: from logits to an activity and its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SMOOTHINGS = ("none", "ema", "majority", "hmm")
UNCERTAIN = "uncertain"
UNKNOWN_ACTIVITY = "unknown"
REJECTIONS = (UNCERTAIN, UNKNOWN_ACTIVITY)  # announced after all other labels, in this order
LEAST_TRANSITION = 1e-6  # no product of a filter step leaves float32's normal numbers
LEAST_PRIOR = 1e-3
MOST_LAG = 64
MOST_LOGIT = 1e6
LEAST_DEVIATION = 1e-3
MOST_DISTANCE = 1e9
ALWAYS_WRITTEN = ("smoothing", "strength", "min_decisions")


@dataclass(frozen=True)
class Grammar:
    """How activities follow each other from one decision to the next, for ``hmm``.

    Attributes:
        transitions: ``[K][K]``, row: from; each row adds up to 1, no entry is below ``LEAST_TRANSITION``.
        prior: ``[K]`` what the network's probabilities are divided by, for how common each label was in training;
            empty: they are taken as they are.
    """

    transitions: tuple[tuple[float, ...], ...]
    prior: tuple[float, ...] = ()

    @property
    def rarity(self) -> tuple[float, ...]:
        """What the network's probabilities are multiplied by."""
        return tuple(1 / p for p in self.prior) or (1.0,) * len(self.transitions)

    def extended(self, new: int) -> Grammar:
        """Return a grammar with ``new`` labels more, of which nobody knows what they follow.

        They stay as long as the others do on average, and follow and are followed by each as often as others are on
        average. Nothing of it depends on how many they are, and rows of it add up to more than 1: so what has no
        evidence changes no bit of the rest, and firmware may have room for labels that it has not been taught.
        """
        known = len(self.transitions)
        if not new:
            return self
        stay = sum(self.transitions[i][i] for i in range(known)) / known
        enter = (1 - stay) / (known - 1)
        rows = [(*row, *[enter] * new) for row in self.transitions]
        rows += [tuple(stay if i == j else enter for j in range(known + new)) for i in range(known, known + new)]
        rarity = sum(self.rarity) / known
        return Grammar(tuple(rows), (*self.prior, *[1 / rarity] * new) if self.prior else ())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Grammar:
        """Rebuild from plain JSON data."""
        return cls(tuple(map(tuple, data["transitions"])), tuple(data.get("prior", ())))

    def problems(self, labels: int) -> list[str]:
        """Return what is wrong with it for a head of so many labels."""
        found = []
        if [len(row) for row in self.transitions] != [labels] * labels:
            found.append(f"decision grammar has {len(self.transitions)} rows, expected {labels} of {labels} numbers")
        elif not all(LEAST_TRANSITION <= p <= 1 for row in self.transitions for p in row):
            found.append(f"decision grammar has transitions outside {LEAST_TRANSITION:g}..1")
        elif any(abs(sum(row) - 1) > 1e-3 for row in self.transitions):
            found.append("decision grammar has a row that does not add up to 1")
        if self.prior and (len(self.prior) != labels or not all(LEAST_PRIOR <= p <= 1 for p in self.prior)):
            found.append(f"decision grammar has prior {self.prior}, expected {labels} numbers in {LEAST_PRIOR:g}..1")
        return found


@dataclass(frozen=True)
class Familiar:
    """Where the logits of each label's own windows lie, for telling windows that are like none of them.

    A window's distance to a label is ``sum(((logit - mean) / deviation)^2)`` over the logits, real numbers; what is
    further than ``most`` from every label is ``unknown``.

    Attributes:
        means: ``[K][K]``, row: the label whose windows they are of.
        deviations: ``[K][K]`` above 0.
        most: the threshold.
    """

    means: tuple[tuple[float, ...], ...]
    deviations: tuple[tuple[float, ...], ...]
    most: float

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Familiar:
        """Rebuild from plain JSON data."""
        return cls(tuple(map(tuple, data["means"])), tuple(map(tuple, data["deviations"])), data["most"])

    def problems(self, labels: int) -> list[str]:
        """Return what is wrong with it for a head of so many labels."""
        found = []
        for name, rows in (("means", self.means), ("deviations", self.deviations)):
            if [len(row) for row in rows] != [labels] * labels:
                found.append(f"decision familiar has {len(rows)} rows of {name}, expected {labels} of {labels} numbers")
            elif not all(abs(value) <= MOST_LOGIT for row in rows for value in row):
                found.append(f"decision familiar has {name} beyond {MOST_LOGIT:g}")
        if not all(value >= LEAST_DEVIATION for row in self.deviations for value in row):
            found.append(f"decision familiar has deviations below {LEAST_DEVIATION:g}")
        if not 0 < self.most <= MOST_DISTANCE:
            found.append(f"decision familiar has the threshold {self.most}, expected more than 0")
        return found


@dataclass(frozen=True)
class DecisionSpec:
    """From logits to an activity and its events. Only what is not a default is written, beside the first three.

    Attributes:
        smoothing: ``none``, ``ema`` (of the probabilities), ``majority`` (of the labels) or ``hmm`` (forward filter).
        strength: ema: weight of the past in [0, 1); majority: decisions looked at, odd. Unused by the others.
        min_decisions: an event starts after this many equal decisions in a row (debounce), 1 = at once.
        temperature: the logits are divided by it before the softmax.
        hysteresis: by how much another label has to be more probable than the one held, in [0, 1).
        uncertain_below: a decision whose label is less probable is ``uncertain``; 0 = never.
        familiar: what a window has to be like not to be ``unknown``; None: none is.
        grammar: of ``hmm``; kept where another smoothing is chosen, so that ``hmm`` can be.
        lag: of ``hmm``: a decision is about the window so many decisions ago.
    """

    smoothing: str = "none"
    strength: float = 0.0
    min_decisions: int = 1
    temperature: float = 1.0
    hysteresis: float = 0.0
    uncertain_below: float = 0.0
    familiar: Familiar | None = None
    grammar: Grammar | None = None
    lag: int = 0

    @property
    def rejections(self) -> tuple[str, ...]:
        """The labels a decision can have beside those of the head: all of ``REJECTIONS``, or none."""
        return REJECTIONS if self.uncertain_below or self.familiar is not None else ()

    @property
    def delay(self) -> int:
        """How many decisions ago the window is that a decision is about."""
        return self.lag if self.smoothing == "hmm" else 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        default = DecisionSpec()
        data = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name in ALWAYS_WRITTEN or getattr(self, name) != getattr(default, name)
        }
        if self.grammar is not None:
            data["grammar"] = {key: value for key, value in asdict(self.grammar).items() if value}
        if self.familiar is not None:
            data["familiar"] = asdict(self.familiar)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DecisionSpec:
        """Rebuild from :meth:`to_dict`."""
        fields = dict(data)
        if "grammar" in data:
            fields["grammar"] = Grammar.from_dict(data["grammar"])
        if "familiar" in data:
            fields["familiar"] = Familiar.from_dict(data["familiar"])
        return cls(**fields)

    def problems(self, labels: int) -> list[str]:
        """Return what is wrong with it for a head of so many labels."""
        found = []
        if self.smoothing not in SMOOTHINGS:
            found.append(f"decision smoothing {self.smoothing!r}, expected {', '.join(SMOOTHINGS)}")
        if self.smoothing == "ema" and not 0 <= self.strength < 1:
            found.append(f"decision smoothing ema: strength is {self.strength}, expected 0 <= strength < 1")
        if self.smoothing == "majority" and not (self.strength >= 1 and self.strength % 2 == 1):
            found.append(f"decision smoothing majority: strength is {self.strength}, expected an odd number of votes")
        if self.smoothing == "hmm" and self.grammar is None:
            found.append("decision smoothing hmm has no grammar; fit one with: edgehar decide BUNDLE --decision hmm")
        ranges: dict[str, tuple[float, float, type]] = {
            "min_decisions": (1, 1_000_000, int),
            "lag": (0, MOST_LAG, int),
            "temperature": (0.01, 100, float),
            "hysteresis": (0, 0.999, float),
            "uncertain_below": (0, 0.999, float),
        }
        for name, (low, high, kind) in ranges.items():
            value = getattr(self, name)
            if not (isinstance(value, int if kind is int else int | float) and low <= value <= high):
                found.append(f"decision {name} is {value!r}, expected {low:g} to {high:g}")
        if self.lag and self.smoothing != "hmm":
            found.append(f"decision lag is {self.lag}, but only hmm looks back; smoothing is {self.smoothing!r}")
        for fitted in (self.grammar, self.familiar):
            found += fitted.problems(labels) if fitted is not None else []
        return found
