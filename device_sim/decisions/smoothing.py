"""What every smoothing is: it mixes the probabilities of a decision with those before it."""

from __future__ import annotations

from typing import Protocol

from device_sim.decisions.numbers import Floats, Labels
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import BundleError


class Smoothing(Protocol):
    """State with ``update`` and ``reset``; made of a specification and the number K of labels."""

    def __init__(self, spec: DecisionSpec, labels: int) -> None: ...

    def reset(self) -> None:
        """Forget the past."""
        ...

    def update(self, probabilities: Floats) -> tuple[Labels, Floats]:
        """Return labels ``[N]`` and smoothed probabilities ``[N, K]`` of the next ``[N, K]``."""
        ...


class NoSmoothing:
    """The most probable activity of the window alone; the first of equals."""

    def __init__(self, spec: DecisionSpec, labels: int) -> None:
        """Nothing to keep."""

    def reset(self) -> None:
        """Nothing to forget."""

    def update(self, probabilities: Floats) -> tuple[Labels, Floats]:
        """Return labels and the probabilities as they are."""
        return probabilities.argmax(axis=1).astype("int16"), probabilities


def check(spec: DecisionSpec, labels: int) -> None:
    """Raise BundleError with all that is wrong with a specification for so many labels."""
    problems = spec.problems(labels)
    if problems:
        raise BundleError("; ".join(problems))
