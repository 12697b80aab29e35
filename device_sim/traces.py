"""From what a device said to what is kept of a recording: its windows' truth and the baseline's word beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.baseline import Baseline
from device_sim.decisions import DecisionBatch
from device_sim.results import HeadTrace, RecordingTrace
from device_sim.run import Run
from edgehar.heads import UNKNOWN, agreed_truth, sample_truth
from edgehar.manifest import Manifest
from edgehar.recording import Recording


def trace_of(
    run: Run, recording: Recording, source: Recording, rows: NDArray[np.int64], batches: list[DecisionBatch]
) -> RecordingTrace:
    """Return what was said to a stretch of samples.

    Args:
        run: what it is a part of.
        recording: has the labels that are announced.
        source: has the labels as they came, for the other heads.
        rows: sample of the recording behind each sample that was streamed.
        batches: what the device said.
    """
    manifest, device, baseline = run.bundle.manifest, run.device, run.baseline
    labels = None if recording.labels is None else recording.labels[rows]
    announced, first = len(manifest.announced.labels), manifest.outputs[0]
    starts = np.concatenate([np.empty(0, np.int64), *(b.starts for b in batches)])
    events = [event for batch in batches for _, event in batch.ended]
    last = device.finish()
    if last is not None:
        events.append(last)
    announced_at = [b.starts[i] + manifest.window - 1 for b in batches for i in b.announced]
    truth = _truth(run, 0, None if labels is None else labels[:, None], len(starts))[:, 0]
    outputs = np.concatenate([np.empty((0, first.width), first.quant.dtype), *(b.outputs for b in batches)])
    clean = _clean_windows(manifest, len(recording.samples), rows[starts])
    said, unsmoothed = _baseline(baseline, manifest.decision.delay, recording.name, outputs, clean)
    return RecordingTrace(
        recording=recording.name,
        subject=recording.subject,
        rate_hz=recording.rate_hz,
        sample_labels=labels,
        starts=starts,
        truth=_looked_back(truth, manifest.decision.delay, np.int16(UNKNOWN)),
        decisions=np.concatenate([np.empty(0, np.int16), *(b.labels for b in batches)]),
        probabilities=np.concatenate([np.empty((0, announced), np.float32), *(b.probabilities for b in batches)]),
        outputs=outputs,
        baseline=said,
        unsmoothed=unsmoothed,
        events=tuple(events),
        announced_s=tuple(float(sample) / manifest.rate_hz for sample in announced_at),
        samples=device.samples,
        invalid_samples=device.invalid_samples,
        others=tuple(_head_trace(run, i, source, rows, batches, clean=clean) for i in range(1, len(manifest.heads))),
        embeddings=_embeddings(manifest, batches),
    )


def _looked_back(values: NDArray[np.int16], delay: int, before: np.int16) -> NDArray[np.int16]:
    """Return for each decision the value ``[N]`` of the window it is about, ``delay`` windows ago."""
    return np.concatenate([np.full(min(delay, len(values)), before), values[: max(0, len(values) - delay)]])


def _clean_windows(manifest: Manifest, samples: int, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The window of the recording itself, of ``samples``, that begins nearest to each start."""
    last = max(0, (samples - manifest.window) // manifest.hop)
    return np.rint(starts / manifest.hop).astype(np.int64).clip(0, last)


def _count(windows: NDArray[np.int64]) -> int:
    return int(windows.max(initial=-1)) + 1


def _at(answers: NDArray[np.int16] | None, windows: NDArray[np.int64]) -> NDArray[np.int16] | None:
    return None if answers is None else answers[windows]


def _baseline(
    baseline: Baseline | None, delay: int, recording: str, outputs: NDArray[Any], clean: NDArray[np.int64]
) -> tuple[NDArray[np.int16] | None, NDArray[np.int16] | None]:
    """The baseline's decisions; and the device's that they compare with, where they are of single windows."""
    decisions = None if baseline is None else _at(baseline.decisions(recording, _count(clean)), clean)
    if baseline is None or decisions is None or baseline.smooths(recording):
        return decisions, None
    alone = outputs.argmax(axis=1).astype(np.int16)
    return _looked_back(decisions, delay, np.int16(0)), _looked_back(alone, delay, np.int16(0))


def _embeddings(manifest: Manifest, batches: list[DecisionBatch]) -> NDArray[Any] | None:
    if manifest.embedding is None:
        return None
    none = np.empty((0, manifest.embedding.width), manifest.embedding.quant.dtype)
    return np.concatenate([none, *(b.embeddings for b in batches if b.embeddings is not None)])


def _truth(run: Run, head: int, samples: NDArray[np.int16] | None, windows: int) -> NDArray[np.int16]:
    """``[windows, W]`` from the truth of the samples ``[T, W]``."""
    manifest = run.bundle.manifest
    task = manifest.tasks[head]
    if samples is None:
        return np.full((windows, task.columns), UNKNOWN, np.int16)
    return agreed_truth(task, samples, manifest.window, manifest.hop)[:windows]


def _head_trace(
    run: Run,
    index: int,
    source: Recording,
    rows: NDArray[np.int64],
    batches: list[DecisionBatch],
    *,
    clean: NDArray[np.int64],
) -> HeadTrace:
    head = run.bundle.manifest.heads[index]
    task = head.task
    samples = None if source.labels is None else sample_truth(task, source.labels[rows], source.label_names)
    baseline = None if run.baseline is None else run.baseline.answers(index, source.name, _count(clean))
    said, k = [batch.others[index - 1] for batch in batches], len(task.labels)
    return HeadTrace(
        truth=_truth(run, index, samples, len(clean)),
        answers=np.concatenate([np.empty((0, task.columns), np.int16), *(s.answers for s in said)]),
        probabilities=np.concatenate([np.empty((0, k), np.float32), *(s.probabilities for s in said)]),
        outputs=np.concatenate([np.empty((0, k), head.quant.dtype), *(s.outputs for s in said)]),
        baseline=_at(baseline, clean),
    )
