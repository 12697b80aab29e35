"""One trace of a recording from those of its pieces: decisions between two times that the device forgot the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from device_sim.results import Event, HeadTrace, RecordingTrace


@dataclass(frozen=True, eq=False)
class TracedPiece:
    """What the device said to one piece.

    Attributes:
        first: place of its first sample on the recording's line.
        trace: counted from there.
    """

    first: int
    trace: RecordingTrace


def join_pieces(pieces: Sequence[TracedPiece], labels: NDArray[np.int16] | None, samples: int) -> RecordingTrace:
    """Return the trace of the whole line.

    Args:
        pieces: at least one, in order.
        labels: ``[samples]`` truth of each place, those that no piece covers too; None without labels.
        samples: places on the line.
    """
    traces = [piece.trace for piece in pieces]
    events, announced = [], []
    for piece in pieces:
        earlier_s = piece.first / piece.trace.rate_hz
        events += [Event(e.label, e.start_s + earlier_s, e.end_s + earlier_s) for e in piece.trace.events]
        announced += [at_s + earlier_s for at_s in piece.trace.announced_s]
    baselines = [trace.baseline for trace in traces if trace.baseline is not None]
    unsmoothed = [trace.unsmoothed for trace in traces if trace.unsmoothed is not None]
    embeddings = [trace.embeddings for trace in traces if trace.embeddings is not None]
    return replace(
        traces[0],
        sample_labels=labels,
        starts=np.concatenate([piece.trace.starts + piece.first for piece in pieces]),
        truth=np.concatenate([trace.truth for trace in traces]),
        decisions=np.concatenate([trace.decisions for trace in traces]),
        probabilities=np.concatenate([trace.probabilities for trace in traces]),
        outputs=np.concatenate([trace.outputs for trace in traces]),
        baseline=np.concatenate(baselines) if len(baselines) == len(traces) else None,
        unsmoothed=np.concatenate(unsmoothed) if len(unsmoothed) == len(traces) else None,
        events=tuple(events),
        announced_s=tuple(announced),
        samples=samples,
        invalid_samples=sum(trace.invalid_samples for trace in traces),
        others=tuple(_join_heads(parts) for parts in zip(*(trace.others for trace in traces), strict=True)),
        embeddings=np.concatenate(embeddings) if embeddings else None,
    )


def _join_heads(parts: Sequence[HeadTrace]) -> HeadTrace:
    baselines = [part.baseline for part in parts if part.baseline is not None]
    return HeadTrace(
        truth=np.concatenate([part.truth for part in parts]),
        answers=np.concatenate([part.answers for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        outputs=np.concatenate([part.outputs for part in parts]),
        baseline=np.concatenate(baselines) if len(baselines) == len(parts) else None,
    )
