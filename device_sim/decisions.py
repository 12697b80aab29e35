"""From logits to an activity and its events: softmax, smoothing, debounce; and to the answers of other heads.

State with ``update`` and ``reset``. One update takes the logits of one decision or of many; how a stream is cut into
updates changes no bit, because every step is float32 operations in a fixed order: of integer logits those of the C
firmware (docs/decisions/0009).
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from device_sim.prototypes import Prototypes
from device_sim.results import Event
from edgehar.bundle import DecisionSpec, Head
from edgehar.errors import BundleError
from edgehar.heads import decide, power_table, sigmoid_table
from edgehar.heads.tables import sigmoid
from edgehar.signal.quantization import LARGEST, LIMITS, QuantParams

F = TypeVar("F", np.float32, np.float64)
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]  # float32 on the device; float64 where the full-precision model is smoothed
Logits = NDArray[Any]  # in the format of their head


class Softmax:
    """Probabilities of integer logits, through a table of all differences that two of them can have."""

    def __init__(self, quant: QuantParams) -> None:
        self._table = power_table(quant)

    def __call__(self, outputs: Logits) -> F32:
        """Return probabilities ``[N, K]`` of logits ``[N, K]``; the zero point cancels."""
        wide = outputs.astype(np.intp)
        powers: F32 = self._table[wide.max(axis=1, keepdims=True) - wide]
        return powers / _row_sums(powers)


class Sigmoid:
    """Probability of each integer logit by itself, through a table of all of them."""

    def __init__(self, quant: QuantParams) -> None:
        self._table = sigmoid_table(quant)
        self._low = LIMITS[quant.dtype][0]

    def __call__(self, outputs: Logits) -> F32:
        """Return probabilities ``[N, K]`` of logits ``[N, K]``."""
        probabilities: F32 = self._table[outputs.astype(np.intp) - self._low]
        return probabilities


def float_softmax(outputs: Logits) -> F32:
    """Return probabilities ``[N, K]`` of float32 logits ``[N, K]``."""
    logits = _numbers(outputs)
    powers = _each(math.exp, logits - logits.max(axis=1, keepdims=True))
    return (powers / _row_sums(powers)).astype(np.float32)


def float_sigmoid(outputs: Logits) -> F32:
    """Return the probability of each float32 logit by itself."""
    return _each(sigmoid, _numbers(outputs)).astype(np.float32)


def probabilities_of(kind: str, quant: QuantParams) -> Callable[[Logits], F32]:
    """Return what turns logits ``[N, K]`` of a head into probabilities: softmax of one choice, else sigmoids."""
    if quant.dtype == "float32":
        return float_softmax if kind == "multiclass" else float_sigmoid
    return Softmax(quant) if kind == "multiclass" else Sigmoid(quant)


def _numbers(outputs: Logits) -> F64:
    """Return float logits without the NaN that a network makes of finite but absurd samples."""
    return np.nan_to_num(outputs.astype(np.float64), nan=0.0, posinf=LARGEST, neginf=-LARGEST)


def _each(function: Callable[[float], float], x: F64) -> F64:
    """Apply a function one number at a time: what numpy makes of one depends on where in the array it stands."""
    return np.array([function(value) for value in x.ravel().tolist()], np.float64).reshape(x.shape)


def softmax(logits: NDArray[np.float32]) -> F64:
    """Return probabilities ``[N, K]`` of real logits ``[N, K]`` (the full-precision model's)."""
    powers: F64 = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / _row_sums(powers)


def _row_sums(x: NDArray[F]) -> NDArray[F]:
    total = x[:, 0].copy()
    for column in range(1, x.shape[1]):  # numpy's own sum adds in an order that depends on the array's shape
        total += x[:, column]
    return total[:, None]


class Smoothing(Protocol):
    """Mixes the probabilities of a decision with those before it."""

    def reset(self) -> None:
        """Forget the past."""
        ...

    def update(self, probabilities: Floats) -> tuple[NDArray[np.int16], Floats]:
        """Return labels ``[N]`` and smoothed probabilities ``[N, K]`` of the next ``[N, K]``."""
        ...


class NoSmoothing:
    """The most probable activity of the window alone; the first of equals."""

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def reset(self) -> None:
        """Nothing to forget."""

    def update(self, probabilities: Floats) -> tuple[NDArray[np.int16], Floats]:
        """Return labels and the probabilities as they are."""
        return probabilities.argmax(axis=1).astype(np.int16), probabilities


class EmaSmoothing:
    """Exponential moving average: ``p = strength * p + (1 - strength) * new``; starts with the first decision.

    Source: Brown, Statistical Forecasting for Inventory Control (1959), simple exponential smoothing.
    """

    def __init__(self, strength: float) -> None:
        if not 0 <= strength < 1:
            raise BundleError(f"decision smoothing ema: strength is {strength}, expected 0 <= strength < 1")
        self.strength = strength
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._mean: Floats | None = None

    def update(self, probabilities: Floats) -> tuple[NDArray[np.int16], Floats]:
        """Return labels and averaged probabilities."""
        out = np.empty_like(probabilities)
        fresh = probabilities * (1.0 - self.strength)
        mean = self._mean
        for i in range(len(out)):
            mean = probabilities[i] if mean is None else mean * self.strength + fresh[i]
            out[i] = mean
        if mean is not None:
            self._mean = mean.copy()
        return out.argmax(axis=1).astype(np.int16), out


class MajoritySmoothing:
    """Vote of the last ``strength`` windows; of equals, the one voted for last. Probabilities are vote shares."""

    def __init__(self, strength: float) -> None:
        if strength != int(strength) or strength < 1 or int(strength) % 2 == 0:
            raise BundleError(f"decision smoothing majority: strength is {strength}, expected an odd number of votes")
        self._votes: deque[int] = deque(maxlen=int(strength))

    def reset(self) -> None:
        """Forget the past."""
        self._votes.clear()

    def update(self, probabilities: Floats) -> tuple[NDArray[np.int16], Floats]:
        """Return labels and vote shares."""
        labels = np.empty(len(probabilities), np.int16)
        shares = np.zeros_like(probabilities)
        for i, vote in enumerate(probabilities.argmax(axis=1).tolist()):
            self._votes.append(vote)
            counts = Counter(reversed(self._votes))  # newest first, and most_common keeps that order among equals
            labels[i] = counts.most_common(1)[0][0]
            for label, count in counts.items():
                shares[i, label] = count / len(self._votes)
        return labels, shares


SMOOTHINGS: dict[str, type[NoSmoothing] | type[EmaSmoothing] | type[MajoritySmoothing]] = {
    "none": NoSmoothing,
    "ema": EmaSmoothing,
    "majority": MajoritySmoothing,
}


def make_smoothing(spec: DecisionSpec) -> Smoothing:
    """Return the smoothing a bundle asks for, with no past.

    Raises:
        BundleError: unknown, or a strength it does not take.
    """
    if spec.smoothing not in SMOOTHINGS:
        raise BundleError(f"decision smoothing {spec.smoothing!r}, expected {', '.join(SMOOTHINGS)}")
    return SMOOTHINGS[spec.smoothing](spec.strength)


@dataclass(frozen=True, eq=False)
class HeadAnswers:
    """What a head after the first says to consecutive windows, each by itself: no smoothing, no events.

    Attributes:
        outputs: ``[N, K]`` raw logits.
        probabilities: ``[N, K]`` float32: softmax of a multiclass head, else the sigmoid of each logit.
        answers: ``[N, W]`` int16: the class, or 1 (yes, probability at least 0.5) or 0 for each label.
    """

    outputs: Logits
    probabilities: NDArray[np.float32]
    answers: NDArray[np.int16]

    def row(self, index: int) -> HeadAnswers:
        """Return one window as a batch of one."""
        part = slice(index, index + 1)
        return HeadAnswers(self.outputs[part], self.probabilities[part], self.answers[part])


class Answering:
    """Turns the logits of one head after the first into its answers. Keeps nothing from window to window."""

    def __init__(self, head: Head) -> None:
        self._kind, self._zero_point = head.kind, head.quant.zero_point
        self._probabilities = probabilities_of(head.kind, head.quant)

    def __call__(self, outputs: Logits) -> HeadAnswers:
        """Return the answers to windows with logits ``[N, K]``."""
        probabilities = self._probabilities(outputs)
        answers = decide(self._kind, outputs, self._zero_point)
        return HeadAnswers(outputs, probabilities, answers)


@dataclass(frozen=True, eq=False)
class DecisionBatch:
    """Consecutive decisions of a device.

    Attributes:
        starts: ``[N]`` int64 first sample of each window.
        outputs: ``[N, K]`` raw logits.
        probabilities: ``[N, K + M]`` float32 after smoothing, those of M enrolled labels last.
        labels: ``[N]`` int16.
        ended: (decision, event) for each decision that ended an event by announcing the next.
        others: answers of the heads after the first.
        embeddings: ``[N, E]`` raw output, None where the network has none.
    """

    starts: NDArray[np.int64]
    outputs: Logits
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int16]
    ended: tuple[tuple[int, Event], ...]
    others: tuple[HeadAnswers, ...] = ()
    embeddings: NDArray[Any] | None = None


class Debounce:
    """Stretches of one label: a new one is announced after ``min_decisions`` equal decisions in a row.

    An event starts with the first decision of its stretch and ends where the next event starts.

    Attributes:
        label: the announced one; None before the first.
        settled: the last decision was the announced label, so that an equal one changes nothing.
    """

    def __init__(self, min_decisions: int) -> None:
        if min_decisions < 1:
            raise BundleError(f"decision min_decisions is {min_decisions}, expected at least 1")
        self.min_decisions = min_decisions
        self.reset()

    def reset(self) -> None:
        """No event is open."""
        self.label: int | None = None
        self.settled = True
        self._start_s = 0.0
        self._candidate = -1
        self._candidate_start_s = 0.0
        self._count = 0

    def update(self, label: int, time_s: float) -> Event | None:
        """Take a decision made at ``time_s``; returns the event it ended, if it did."""
        if label == self.label:
            self.settled = True
            return None
        if self.settled or label != self._candidate:
            self._candidate, self._candidate_start_s, self._count = label, time_s, 0
            self.settled = False
        self._count += 1
        if self._count < self.min_decisions:
            return None
        ended = self.close(self._candidate_start_s)
        self.label, self._start_s, self.settled = label, self._candidate_start_s, True
        return ended

    def close(self, time_s: float) -> Event | None:
        """Return the open event as ended at ``time_s``; None if nothing was announced yet."""
        return None if self.label is None else Event(self.label, self._start_s, time_s)


class Decisions:
    """The decision stage of one head: softmax, smoothing, debounce.

    Args:
        head: labels and logit scale; one label a logit, exclusive.
        spec: smoothing and debounce.
        window: samples; decision ``start`` is made at sample ``start + window - 1``.
        rate_hz: samples a second.
        prototypes: of labels that were enrolled; None where there are none.

    Raises:
        BundleError: the head is not a choice of one label, or the specification is out of range.
    """

    def __init__(
        self, head: Head, spec: DecisionSpec, window: int, rate_hz: float, prototypes: Prototypes | None = None
    ) -> None:
        if head.kind == "multilabel" or len(head.labels) < 2:
            raise BundleError(
                f"head {head.name!r} is {head.kind} with {len(head.labels)} labels; the decision stage takes heads "
                "that choose one of two or more labels"
            )
        self._softmax = probabilities_of("multiclass", head.quant)
        self._prototypes = prototypes
        self._smoothing = make_smoothing(spec)
        self._debounce = Debounce(spec.min_decisions)
        self._window = window
        self._rate_hz = rate_hz
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._smoothing.reset()
        self._debounce.reset()

    def update(
        self, starts: NDArray[np.int64], outputs: Logits, embeddings: NDArray[Any] | None = None
    ) -> DecisionBatch:
        """Decide on the next windows: ``starts`` ``[N]``, logits ``[N, K]``, embeddings ``[N, E]`` if it has them."""
        probabilities = self._softmax(outputs)
        if self._prototypes is not None and embeddings is not None:
            probabilities = self._prototypes.blend(probabilities, embeddings)
        labels, smoothed = self._smoothing.update(probabilities)
        events = self._events(starts, labels)
        return DecisionBatch(starts, outputs, smoothed.astype(np.float32), labels, events, embeddings=embeddings)

    def _events(self, starts: NDArray[np.int64], labels: NDArray[np.int16]) -> tuple[tuple[int, Event], ...]:
        ended = []
        debounce = self._debounce
        for i, label in enumerate(labels.tolist()):
            if label == debounce.label and debounce.settled:
                continue  # nearly all decisions
            event = debounce.update(label, (int(starts[i]) + self._window - 1) / self._rate_hz)
            if event is not None:
                ended.append((i, event))
        return tuple(ended)

    def finish(self, samples: int) -> Event | None:
        """Return the open event, ended by the end of the stream after ``samples`` samples."""
        return self._debounce.close(samples / self._rate_hz)
