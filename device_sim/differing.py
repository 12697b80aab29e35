"""Windows on which the device decided otherwise than the full-precision model, with the samples that it saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.faults import Disturbed
from device_sim.results import Example, RecordingTrace

EACH = 3  # of every kind


@dataclass(frozen=True)
class _Found:
    """Decision ``index`` of trace ``trace``, of kind 0 to 3, and how sure the device was."""

    kind: int
    sure: float
    trace: int
    index: int


def differing(
    traces: Sequence[RecordingTrace], played: Sequence[Disturbed], window: int, delay: int
) -> tuple[Example, ...]:
    """Return up to ``EACH`` windows of each kind, the surest of the device first, of as many people as there are.

    The kinds, in order: the baseline is right; the device is right; neither is; nobody knows.

    Args:
        traces: one a recording.
        played: what each recording's device was given.
        window: in samples.
        delay: a decision is about the window so many decisions ago.
    """
    found = [each for number, trace in enumerate(traces) for each in _differences(number, trace, delay)]
    chosen = [each for kind in range(4) for each in _spread([f for f in found if f.kind == kind], traces)]
    return tuple(_example(traces[f.trace], played[f.trace], f, window, delay) for f in chosen)


def _differences(number: int, trace: RecordingTrace, delay: int) -> list[_Found]:
    if trace.baseline is None:
        return []
    said, truth = trace.compared, trace.truth
    kinds = np.where(truth < 0, 3, np.where(trace.baseline == truth, 0, np.where(said == truth, 1, 2)))
    places = np.flatnonzero(said != trace.baseline)
    return [_Found(int(kinds[i]), _sure(trace, i) or 0.0, number, i) for i in places.tolist() if i >= delay]


def _sure(trace: RecordingTrace, index: int) -> float | None:
    """Probability of the decision; None where it is of a stage that the baseline did not pass, or a rejection."""
    label = int(trace.decisions[index])
    if trace.unsmoothed is not None or not 0 <= label < trace.probabilities.shape[1]:
        return None
    return float(trace.probabilities[index, label])


def _spread(found: Sequence[_Found], traces: Sequence[RecordingTrace]) -> list[_Found]:
    """The surest of each person in turn, then the second of each, until there are enough."""
    ranked = sorted(found, key=lambda f: (-f.sure, f.trace, f.index))
    turns: dict[str, int] = {}
    rounds = []
    for each in ranked:
        person = traces[each.trace].subject
        turns[person] = turns.get(person, -1) + 1
        rounds.append((turns[person], each))
    rounds.sort(key=lambda pair: pair[0])
    return [each for _, each in rounds[:EACH]]


def _example(trace: RecordingTrace, played: Disturbed, found: _Found, window: int, delay: int) -> Example:
    start, baseline = int(trace.starts[found.index - delay]), trace.baseline
    assert baseline is not None
    return Example(
        recording=trace.recording,
        subject=trace.subject,
        start_s=start / trace.rate_hz,
        truth=int(trace.truth[found.index]),
        device=int(trace.compared[found.index]),
        baseline=int(baseline[found.index]),
        probability=_sure(trace, found.index),
        samples=_samples(played, start, window),
    )


def _samples(played: Disturbed, start: int, window: int) -> NDArray[np.float32]:
    """``[window, C]``: a window lies within one piece."""
    piece = next(p for p in reversed(played.pieces) if p.first <= start)
    return piece.samples[start - piece.first : start - piece.first + window].copy()
