"""What a simulation leaves behind: one trace a recording, and the summary. Plain data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.recording import Channel

SUMMARY_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Event:
    """A stretch of one activity as the device announced it.

    Attributes:
        label: index into the bundle's ``event_labels``.
        start_s, end_s: from the first decision of the stretch to the first decision of the next (or the end of the
            recording), on the recording's own clock.
    """

    label: int
    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class HeadTrace:
    """What a head after the first said about one recording. W is 1 (the class) or one yes or no a label.

    Attributes:
        truth: ``[N, W]`` int16, -1 where unknown.
        answers: ``[N, W]`` int16.
        probabilities: ``[N, K]`` float32.
        outputs: ``[N, K]`` raw output of the interpreter, in the format of its head.
        baseline: ``[N, W]`` int16 answers of the full-precision model, or None.
    """

    truth: NDArray[np.int16]
    answers: NDArray[np.int16]
    probabilities: NDArray[np.float32]
    outputs: NDArray[Any]
    baseline: NDArray[np.int16] | None


@dataclass(frozen=True, eq=False)
class RecordingTrace:
    """Everything the device said about one recording. Label indices are those of the first head; -1 is "none".

    Attributes:
        recording: name of the recording.
        subject: who wore the device.
        rate_hz: samples a second.
        sample_labels: ``[T]`` int16 truth per sample mapped to the head's labels, -1 unlabelled or not a class of
            the model; None when the recording has no labels.
        starts: ``[N]`` int64 first sample of each window; decision i comes with sample ``starts[i] + window - 1``.
        truth: ``[N]`` int16 label of the window that decision i is about, when all its samples agree, else -1
            (streamed, not scored). With a lag that is an earlier window, and -1 before the first.
        decisions: ``[N]`` int16 index into the run's labels, after the whole decision stage.
        probabilities: ``[N, K]`` float32 after softmax and smoothing.
        outputs: ``[N, K]`` raw output of the interpreter, in the format of its head.
        baseline: ``[N]`` int16 label of the full-precision model for the same window, or None.
        unsmoothed: ``[N]`` int16 most probable label of each window alone, where the baseline is of windows alone.
        events: what the device announced, in order.
        announced_s: ``[E]`` when it announced each: after the event's start by what debounce and lag wait for.
        samples: how many were streamed.
        invalid_samples: samples with a NaN or infinite value, replaced by the last good one.
        others: the heads after the first.
        embeddings: ``[N, E]`` raw output of a network that has one.
    """

    recording: str
    subject: str
    rate_hz: float
    sample_labels: NDArray[np.int16] | None
    starts: NDArray[np.int64]
    truth: NDArray[np.int16]
    decisions: NDArray[np.int16]
    probabilities: NDArray[np.float32]
    outputs: NDArray[Any]
    baseline: NDArray[np.int16] | None
    events: tuple[Event, ...]
    announced_s: tuple[float, ...]
    samples: int
    invalid_samples: int
    others: tuple[HeadTrace, ...] = ()
    embeddings: NDArray[Any] | None = None
    unsmoothed: NDArray[np.int16] | None = None

    @property
    def compared(self) -> NDArray[np.int16]:
        """The device's labels ``[N]`` that the baseline's are held against: both smoothed, or neither."""
        return self.decisions if self.unsmoothed is None else self.unsmoothed

    @property
    def seconds(self) -> float:
        """Duration of what was streamed."""
        return self.samples / self.rate_hz


@dataclass(frozen=True, eq=False)
class Example:
    """One window on which device and full-precision model differ.

    Attributes:
        recording, subject: whose.
        start_s: of the window, on the recording's own clock.
        truth: index into the run's labels, -1 where there is none.
        device, baseline: what they say.
        probability: of the device's decision, None where it is not of this window alone or a rejection.
        samples: ``[window, C]`` float32 as the device got them.
    """

    recording: str
    subject: str
    start_s: float
    truth: int
    device: int
    baseline: int
    probability: float | None
    samples: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """One run of one bundle on one engine over some recordings.

    Attributes:
        summary: the versioned ``summary.json`` (schema: ``device_sim/schemas/summary.schema.json``).
        traces: one a recording, for the timeline of the report.
        labels: of decisions and events: the first head's, those enrolled, those for what is rejected.
        window, hop: in samples.
        channels: of the samples.
        examples: windows on which device and baseline differ, a few of each kind.
    """

    summary: dict[str, Any]
    traces: tuple[RecordingTrace, ...]
    labels: tuple[str, ...]
    window: int
    hop: int
    channels: tuple[Channel, ...] = ()
    examples: tuple[Example, ...] = ()
