"""The decision stage as a whole: softmax, enrolled prototypes, smoothing, hysteresis, rejection; then events.

State with ``update`` and ``reset``. One update takes the logits of one decision or of many; how a stream is cut into
updates changes no bit, because every step is float32 operations in a fixed order: of integer logits those of the C
firmware (docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions.answers import HeadAnswers
from device_sim.decisions.debounce import Debounce
from device_sim.decisions.ema import EmaSmoothing
from device_sim.decisions.hmm import HmmSmoothing
from device_sim.decisions.hysteresis import Hysteresis
from device_sim.decisions.majority import MajoritySmoothing
from device_sim.decisions.numbers import Floats, Labels, Logits
from device_sim.decisions.probabilities import probabilities_of
from device_sim.decisions.rejection import Rejection
from device_sim.decisions.smoothing import NoSmoothing, Smoothing, check
from device_sim.decisions.unfamiliar import Unfamiliar
from device_sim.prototypes import Prototypes
from device_sim.results import Event
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import BundleError
from edgehar.manifest import Head
from edgehar.signal.quantization import FLOAT32, QuantParams

MakeSmoothing = Callable[[DecisionSpec, int], Smoothing]
SMOOTHINGS: dict[str, MakeSmoothing] = {
    "none": NoSmoothing,
    "ema": EmaSmoothing,
    "majority": MajoritySmoothing,
    "hmm": HmmSmoothing,
}


class Labelling:
    """From the probabilities of windows to the labels of decisions: smoothing, hysteresis, rejection.

    Args:
        spec: the stages' settings.
        labels: K, of the head.
        enrolled: M, labels that were enrolled.
        quant: the format of the logits.
        smoothings: what stands in for ``SMOOTHINGS``, with the same bits.

    Raises:
        BundleError: a setting is out of range.
    """

    def __init__(
        self,
        spec: DecisionSpec,
        labels: int,
        enrolled: int = 0,
        quant: QuantParams = FLOAT32,
        *,
        smoothings: Mapping[str, MakeSmoothing] = SMOOTHINGS,
    ) -> None:
        check(spec, labels)
        self._unfamiliar = None if spec.familiar is None else Unfamiliar(spec.familiar, quant)
        self._smoothing = smoothings[spec.smoothing](spec, labels + enrolled)
        self._hysteresis = Hysteresis(spec)
        self._rejection = Rejection(spec, labels + enrolled)

    def reset(self) -> None:
        """Forget the past."""
        self._smoothing.reset()
        self._hysteresis.reset()
        self._rejection.reset()

    def update(self, probabilities: Floats, outputs: Logits | None = None) -> tuple[Labels, Floats]:
        """Return labels ``[N]`` and smoothed probabilities ``[N, K + M]`` of the next windows' ``[N, K + M]``.

        Without their logits ``[N, K]``, none of them is unknown.
        """
        chosen, smoothed = self._smoothing.update(probabilities)
        held = self._hysteresis.update(chosen, smoothed)
        unknown = None if self._unfamiliar is None or outputs is None else self._unfamiliar(outputs)
        return self._rejection.update(held, smoothed, unknown), smoothed


@dataclass(frozen=True, eq=False)
class DecisionBatch:
    """Consecutive decisions of a device.

    Attributes:
        starts: ``[N]`` int64 first sample of the window that brought each decision.
        outputs: ``[N, K]`` raw logits.
        probabilities: ``[N, K + M]`` float32 after smoothing, those of M enrolled labels last.
        labels: ``[N]`` int16, index into the bundle's ``event_labels``; with a lag about a window before this one.
        ended: (decision, event) for each decision that ended an event by announcing the next.
        announced: decisions that announced an event.
        others: answers of the heads after the first.
        embeddings: ``[N, E]`` raw output, None where the network has none.
    """

    starts: NDArray[np.int64]
    outputs: Logits
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int16]
    ended: tuple[tuple[int, Event], ...]
    announced: tuple[int, ...] = ()
    others: tuple[HeadAnswers, ...] = ()
    embeddings: NDArray[Any] | None = None


class Decisions:
    """The decision stage of one head.

    Args:
        head: labels and logit scale; one label a logit, exclusive.
        spec: settings of all stages.
        window, hop: samples; decision ``start`` is made at sample ``start + window - 1``.
        rate_hz: samples a second.
        prototypes: of labels that were enrolled; None where there are none.
        smoothings: see :class:`Labelling`.

    Raises:
        BundleError: the head is not a choice of one label, or the specification is out of range.
    """

    def __init__(
        self,
        head: Head,
        spec: DecisionSpec,
        window: int,
        hop: int,
        rate_hz: float,
        *,
        prototypes: Prototypes | None = None,
        smoothings: Mapping[str, MakeSmoothing] = SMOOTHINGS,
    ) -> None:
        if head.kind == "multilabel" or len(head.labels) < 2:
            raise BundleError(
                f"head {head.name!r} is {head.kind} with {len(head.labels)} labels; the decision stage takes heads "
                "that choose one of two or more labels"
            )
        enrolled = 0 if prototypes is None else prototypes.labels
        self._labelling = Labelling(spec, len(head.labels), enrolled, head.quant, smoothings=smoothings)
        self._softmax = probabilities_of("multiclass", head.quant, spec.temperature)
        self._prototypes = prototypes
        self._debounce = Debounce(spec.min_decisions)
        self._window, self._looks_back = window, spec.delay * hop
        self._rate_hz = rate_hz
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._labelling.reset()
        self._debounce.reset()

    def update(
        self, starts: NDArray[np.int64], outputs: Logits, embeddings: NDArray[Any] | None = None
    ) -> DecisionBatch:
        """Decide on the next windows: ``starts`` ``[N]``, logits ``[N, K]``, embeddings ``[N, E]`` if it has them."""
        return self.decide(starts, outputs, self.probabilities(outputs, embeddings), embeddings)

    def probabilities(self, outputs: Logits, embeddings: NDArray[Any] | None = None) -> Floats:
        """Return ``[N, K + M]`` of windows alone. Of other devices with the same bundle too: the past has no part."""
        probabilities: Floats = self._softmax(outputs)
        if self._prototypes is not None and embeddings is not None:
            probabilities = self._prototypes.blend(probabilities, embeddings)
        return probabilities

    def decide(
        self,
        starts: NDArray[np.int64],
        outputs: Logits,
        probabilities: Floats,
        embeddings: NDArray[Any] | None = None,
    ) -> DecisionBatch:
        """Decide on the next windows, with :meth:`probabilities` known."""
        labels, smoothed = self._labelling.update(probabilities, outputs)
        ended, announced = self._events(starts, labels)
        said = (outputs, smoothed.astype(np.float32), labels)
        return DecisionBatch(starts, *said, ended, announced, embeddings=embeddings)

    def _events(
        self, starts: NDArray[np.int64], labels: Labels
    ) -> tuple[tuple[tuple[int, Event], ...], tuple[int, ...]]:
        """Events that ended, with the decisions that ended them; and the decisions that announced one."""
        ended, announced = [], []
        debounce = self._debounce
        for i, label in enumerate(labels.tolist()):
            if label == debounce.label and debounce.settled:
                continue  # nearly all decisions
            before = debounce.label
            about = max(int(starts[i]) - self._looks_back, 0)  # first sample of the window it is about
            event = debounce.update(label, (about + self._window - 1) / self._rate_hz)
            if event is not None:
                ended.append((i, event))
            if debounce.label != before:
                announced.append(i)
        return tuple(ended), tuple(announced)

    def finish(self, samples: int) -> Event | None:
        """Return the open event, ended by the end of the stream after ``samples`` samples."""
        return self._debounce.close(samples / self._rate_hz)
