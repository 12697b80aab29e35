"""Replay recordings through one bundle on one engine, and sum up how right and how fast it was."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim import scores
from device_sim.baseline import Baseline, read_baseline
from device_sim.clock import Clock, RealTimeClock, SimulatedClock
from device_sim.decisions import DecisionBatch
from device_sim.device import Device
from device_sim.differing import differing
from device_sim.emulator.summary import energy_summary
from device_sim.engines import DEFAULT_ENGINE, open_engine
from device_sim.engines.protocol import ModelledEngine
from device_sim.events import event_scores
from device_sim.faults import Disturbed, FaultSpec, Piece, disturb, undisturbed
from device_sim.faults.stalling import with_stalls
from device_sim.host_noise import measure_host_noise
from device_sim.pieces import TracedPiece, join_pieces
from device_sim.replayed import replayed
from device_sim.results import SUMMARY_SCHEMA_VERSION, HeadTrace, RecordingTrace, SimulationResult
from device_sim.sources import on_device
from device_sim.telemetry import Histogram, Telemetry
from edgehar.bundle import Bundle, Manifest
from edgehar.errors import DataError
from edgehar.files import write_json
from edgehar.heads import UNKNOWN, Task, agreed_truth, sample_truth, score_head, share_alike
from edgehar.host import cpu_name
from edgehar.recording import Recording

Progress = Callable[[str, float], None]  # (recording name, share of all samples done, 0..1)


def simulate(
    bundle: Bundle,
    recordings: Sequence[Recording],
    engine_name: str = DEFAULT_ENGINE,
    *,
    board: str | None = None,
    realtime: bool = False,
    progress: Progress | None = None,
    clock: Clock | None = None,
    faults: Sequence[FaultSpec] = (),
    seed: int = 0,
) -> SimulationResult:
    """Stream each recording into a freshly reset device.

    Args:
        bundle: what to run.
        recordings: replayed in order; channels are matched by name, labels by name.
        engine_name: key of ``ENGINES``.
        board: whose time an engine that models one models; None is its own choice.
        realtime: one sample every ``1 / rate_hz`` seconds of wall time.
        progress: called now and then.
        clock: stands in for the one that ``realtime`` chooses (tests).
        faults: what goes wrong on the way (:mod:`device_sim.faults`). The samples then pass the device's resampler, the
            truth follows them, and the baseline is what the full-precision model said to the clean recording then.
        seed: of the faults.

    Ctrl-C ends the run early; the result holds what was streamed until there, and ``summary["interrupted"]`` is true.

    Raises:
        DataError: no recording, or one that does not fit the bundle.
        UsageError, MissingExtraError, EngineError: see :func:`device_sim.engines.open_engine`.
    """
    if not recordings:
        raise DataError("no recording to simulate; give at least one")
    manifest = bundle.manifest
    fitted = [on_device(recording, manifest) for recording in recordings]
    baseline = read_baseline(bundle)
    engine = open_engine(engine_name, bundle, board)
    if realtime:
        engine = with_stalls(engine, faults, manifest.hop / manifest.rate_hz, seed)
    if clock is None:
        clock = RealTimeClock(manifest.rate_hz) if realtime else SimulatedClock()
    if isinstance(engine, ModelledEngine):
        telemetry = Telemetry(1 / manifest.rate_hz, manifest.hop / manifest.rate_hz, warm_up_decisions=0)
        engine.telemetry = telemetry
        device = Device(bundle, engine)
    else:
        telemetry = Telemetry(1 / manifest.rate_hz, manifest.hop / manifest.rate_hz, clock.deadline_stage)
        device = Device(bundle, engine, telemetry)
    total = sum(len(r.samples) for r in fitted)
    run = _Run(bundle, device, telemetry, fitted, baseline, clock, tuple(faults), seed)
    noise_before = None if isinstance(engine, ModelledEngine) else measure_host_noise()
    run.data = replayed(recordings)
    begin = time.perf_counter()
    for recording, source in zip(fitted, recordings, strict=True):
        played = disturb(recording, faults, seed) if faults else undisturbed(recording)
        run.played.append(played)
        pieces: list[TracedPiece] = []
        for piece in played.pieces:
            batches = _play(run, piece, recording.name, total, progress)
            if device.samples or not run.interrupted:
                rows = played.rows[piece.first : piece.first + device.samples]
                pieces.append(TracedPiece(piece.first, _trace(run, recording, source, rows, batches)))
            if run.interrupted:
                break
        if pieces:
            stop = pieces[-1].first + pieces[-1].trace.samples if run.interrupted else len(played.rows)
            labels = None if recording.labels is None else recording.labels[played.rows[:stop]]
            run.traces.append(join_pieces(pieces, labels, stop))
        if run.interrupted:
            break
    run.wall_s = time.perf_counter() - begin
    if noise_before is not None:
        run.noise = (noise_before, measure_host_noise())
    return SimulationResult(
        _summary(run),
        tuple(run.traces),
        manifest.event_labels,
        manifest.window,
        manifest.hop,
        manifest.channels,
        differing(run.traces, run.played, manifest.window, manifest.decision.delay),
    )


def write_summary(path: Path, result: SimulationResult) -> None:
    """Write ``summary.json`` (schema: ``device_sim/schemas/summary.schema.json``), whole or not at all."""
    write_json(path, result.summary)


@dataclass
class _Run:
    """All that the summary is made of; the last seven fields grow while the recordings are streamed."""

    bundle: Bundle
    device: Device
    telemetry: Telemetry
    recordings: list[Recording]
    baseline: Baseline | None
    clock: Clock
    faults: tuple[FaultSpec, ...]
    seed: int
    played: list[Disturbed] = field(default_factory=list)
    traces: list[RecordingTrace] = field(default_factory=list)
    samples: int = 0
    data: list[dict[str, Any]] = field(default_factory=list)
    wall_s: float = 0.0
    interrupted: bool = False
    noise: tuple[Histogram, Histogram] | None = None  # of the host before and after; None where it has no part


def _play(run: _Run, piece: Piece, name: str, total: int, progress: Progress | None) -> list[DecisionBatch]:
    """Stream samples without a break into a device without a past; Ctrl-C ends it early."""
    device = run.device
    device.reset()
    batches: list[DecisionBatch] = []
    try:
        for batch in run.clock.replay(device, piece.samples):
            batches.append(batch)
            if progress is not None:
                progress(name, min(1.0, (run.samples + device.samples) / total))
    except KeyboardInterrupt:
        run.interrupted = True
    run.samples += device.samples
    return batches


def _trace(
    run: _Run, recording: Recording, source: Recording, rows: NDArray[np.int64], batches: list[DecisionBatch]
) -> RecordingTrace:
    """Gather what was said to a stretch of samples.

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


def _truth(run: _Run, head: int, samples: NDArray[np.int16] | None, windows: int) -> NDArray[np.int16]:
    """``[windows, W]`` from the truth of the samples ``[T, W]``."""
    manifest = run.bundle.manifest
    task = manifest.tasks[head]
    if samples is None:
        return np.full((windows, task.columns), UNKNOWN, np.int16)
    return agreed_truth(task, samples, manifest.window, manifest.hop)[:windows]


def _head_trace(
    run: _Run,
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


def _summary(run: _Run) -> dict[str, Any]:
    manifest, engine = run.bundle.manifest, run.device.engine
    modelled = isinstance(engine, ModelledEngine)
    seconds = run.samples / manifest.rate_hz
    events = event_scores(run.traces, manifest.announced.labels)
    return {
        "schema_version": SUMMARY_SCHEMA_VERSION,
        "bundle_name": manifest.name,
        "bundle_sha256": run.bundle.sha256,
        "engine": engine.name,
        "engine_version": engine.version,
        "recipe": manifest.recipe,
        "rate_hz": manifest.rate_hz,
        "dataset": ", ".join(dict.fromkeys(r.source for r in run.recordings if r.source)),
        "subjects": sorted({t.subject for t in run.traces}),
        "data": run.data,
        "window": manifest.window,
        "hop": manifest.hop,
        "recordings": len(run.traces),
        "samples": run.samples,
        "invalid_samples": sum(t.invalid_samples for t in run.traces),
        "faults": _faults(run),
        **_scores(run),
        "decision": _decision(run),
        "heads": [_head_scores(run, index) for index in range(len(manifest.heads))],
        "events": events,
        "mlperf_tiny": _mlperf_tiny(run, events),
        **_latencies(run),
        "latency_kind": "modelled" if modelled else "measured",
        "latency_timed_every": 1 if modelled else run.clock.timed_every,
        "clock": run.clock.name,
        "deadline_misses": run.telemetry.deadline_misses,
        "deadline_misses_hop": run.telemetry.deadline_misses_hop,
        "realtime_factor": seconds / run.wall_s if run.wall_s > 0 else 0.0,
        "wall_s": run.wall_s,
        "execution": {"threads": 1, "batch": 1},
        "energy": _energy(run),
        "interrupted": run.interrupted,
        "memory": {**engine.memory_bytes(), **run.device.memory_bytes},
        "sizes": {name: entry.bytes for name, entry in sorted(manifest.files.items())},
        "host": {
            "machine": platform.machine(),
            "system": platform.system(),
            "cpu": cpu_name(),
            "processors": os.cpu_count() or 1,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "provenance": dict(manifest.provenance),
    }


def _faults(run: _Run) -> dict[str, Any] | None:
    """What was asked for, and what became of it; None without faults."""
    if not run.faults:
        return None
    touched, device = (
        {name: sum(counts[name] for counts in found) for name in found[0]}
        for found in ([p.touched for p in run.played], [p.device for p in run.played])
    )
    spec = ",".join(map(str, run.faults))
    held = sum(t.invalid_samples for t in run.traces)
    return {"spec": spec, "seed": run.seed, "touched": touched, "device": {**device, "held": held}}


def _latencies(run: _Run) -> dict[str, Any]:
    telemetry = run.telemetry
    steady = {name: h for name, h in telemetry.steady.items() if h.count}
    warm_up = {name: h.summary_us() for name, h in telemetry.warm_up.items() if h.count}
    noise = None
    if run.noise is not None:
        noise = {name: h.summary_us() for name, h in zip(("before", "after"), run.noise, strict=True)}
    return {
        "latency_us": telemetry.summary_us(),
        "latency_histogram_us": telemetry.histograms_us(),
        "latency_warm_up_us": {"decisions": min(telemetry.warm_up_decisions, telemetry.decisions), "stages": warm_up},
        "latency_steady_us": {name: h.summary_us() for name, h in steady.items()},
        "latency_steady_ns": {name: h.buckets_ns() for name, h in steady.items()},
        "host_noise_us": noise,
    }


def _busy_s(run: _Run) -> float | None:
    """Mean time that a hop keeps the device busy, where it was timed."""
    busy = run.telemetry.busy_ns(run.bundle.manifest.hop)
    return None if busy is None else busy / 1e9


def _energy(run: _Run) -> dict[str, Any] | None:
    engine, manifest, busy_s = run.device.engine, run.bundle.manifest, _busy_s(run)
    if busy_s is None or not isinstance(engine, ModelledEngine):
        return None
    return energy_summary(engine.board, 1000 * busy_s, manifest.hop / manifest.rate_hz)


def _mlperf_tiny(run: _Run, events: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of MLPerf Tiny's streaming wake word, an activity in place of the word."""
    manifest, busy_s = run.bundle.manifest, _busy_s(run)
    missed, extra = events["true"], events["announced"]
    return {
        "FalsePositives": None if extra is None else extra["inserted"],
        "FalseNegatives": None if missed is None else missed["deleted"],
        "DutyCycle": None if busy_s is None else busy_s * manifest.rate_hz / manifest.hop,
    }


def _scores(run: _Run) -> dict[str, Any]:
    labels = run.bundle.manifest.event_labels
    classes, trained = len(labels), run.bundle.manifest.heads[0].task
    people = [_Person(subject, run.traces, classes, trained) for subject in sorted({t.subject for t in run.traces})]
    counts = _total([p.device for p in people], classes)
    paired = _total([p.paired for p in people], classes)
    base = _total([p.baseline for p in people], classes)
    base_accuracy = scores.accuracy(base)
    drop = drop_interval = alike = summary_baseline = None
    if run.baseline is not None and base_accuracy is not None:
        paired_accuracy = scores.accuracy(paired)
        assert paired_accuracy is not None
        drop = 100 * (base_accuracy - paired_accuracy)
        lost = [int(np.trace(p.baseline) - np.trace(p.paired)) for p in people]
        drop_interval = scores.subject_interval(lost, [int(p.baseline.sum()) for p in people])
        alike = sum(p.agreeing for p in people) / int(base.sum())
        summary_baseline = {
            "device": run.baseline.device,
            "smoothed": all(t.unsmoothed is None for t in run.traces),
            "accuracy": base_accuracy,
            "macro_f1": scores.macro_f1(base),
            "windows": int(base.sum()),
        }
    interval = scores.subject_interval([int(np.trace(p.device)) for p in people], [p.windows for p in people])
    return {
        "windows": int(counts.sum()),
        "windows_streamed": sum(len(t.starts) for t in run.traces),
        "accuracy": scores.accuracy(counts),
        "macro_f1": scores.macro_f1(counts),
        "accuracy_interval": None if interval is None else list(interval),
        "baseline": summary_baseline,
        "accuracy_drop_points": drop,
        "accuracy_drop_interval_points": None if drop_interval is None else [100 * v for v in drop_interval],
        "agreement": alike,
        "per_subject": [p.row() for p in people],
        "confusion": {
            "labels": list(labels),
            "device": counts.tolist(),
            "baseline": None if summary_baseline is None else base.tolist(),
        },
    }


def _decision(run: _Run) -> dict[str, Any]:
    """The decision stage, what it costs in time, and what became of the windows that it refused to name."""
    manifest = run.bundle.manifest
    known, spec = len(manifest.announced.labels), manifest.decision
    truth = np.concatenate([np.empty(0, np.int16), *(t.truth for t in run.traces)])
    decided = np.concatenate([np.empty(0, np.int16), *(t.decisions for t in run.traces)])
    scored = truth != UNKNOWN
    covered = scored & (decided < known)
    windows = int(scored.sum())
    return {
        "smoothing": spec.smoothing,
        "spec": spec.to_dict(),
        "delay_s": spec.delay * manifest.hop / manifest.rate_hz,
        "rejected": {name: int((scored & (decided == known + i)).sum()) for i, name in enumerate(spec.rejections)},
        "coverage": int(covered.sum()) / windows if windows else None,
        "covered_accuracy": float((decided == truth)[covered].mean()) if covered.any() else None,
    }


def _head_scores(run: _Run, index: int) -> dict[str, Any]:
    """Scores of one head; those of the first are the summary's own, after its smoothing."""
    task, trained = run.bundle.manifest.tasks[index], run.bundle.manifest.heads[index].task
    none = np.empty((0, task.columns), np.int16)
    parts = [_said(trace, index) for trace in run.traces]
    paired = [(_without_enrolled(trained, part[0]), part[2], part[3]) for part in parts if part[3] is not None]
    scores = score_head(task, *(np.concatenate([none, *(part[i] for part in parts)]) for i in (0, 1)))
    truth, answers, baseline = (np.concatenate([none, *(part[i] for part in paired)]) for i in range(3))
    reference = score_head(task, truth, baseline)
    return {
        "name": task.name,
        "kind": task.kind,
        **scores.to_dict(),
        "baseline_accuracy": reference.accuracy,
        "baseline_macro_f1": reference.macro_f1,
        "agreement": share_alike(truth, answers, baseline),
    }


def _said(
    trace: RecordingTrace, index: int
) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16], NDArray[np.int16] | None]:
    """Truth and answers ``[N, W]`` of one head, then the answers to hold against the baseline's, and those or None."""
    if index:
        head = trace.others[index - 1]
        return head.truth, head.answers, head.answers, head.baseline
    baseline = None if trace.baseline is None else trace.baseline[:, None]
    return trace.truth[:, None], trace.decisions[:, None], trace.compared[:, None], baseline


def _without_enrolled(task: Task, truth: NDArray[np.int16]) -> NDArray[np.int16]:
    """Truth of a trained task without the enrolled labels, which the baseline never heard of."""
    if task.kind != "multiclass":
        return truth
    return np.where(truth < len(task.labels), truth, np.int16(UNKNOWN))


class _Person:
    """Confusions of one subject: all scored windows, and those that have a baseline on both sides.

    Of the ``classes`` those of the ``trained`` head are the model's own; the others were enrolled and have no baseline.
    """

    def __init__(self, subject: str, traces: Sequence[RecordingTrace], classes: int, trained: Task) -> None:
        self.subject = subject
        mine = [t for t in traces if t.subject == subject]
        self.device = _total([scores.confusion(t.truth, t.decisions, classes) for t in mine], classes)
        both = [(_without_enrolled(trained, t.truth), t.compared, t.baseline) for t in mine if t.baseline is not None]
        self.paired = _total([scores.confusion(truth, d, classes) for truth, d, _ in both], classes)
        self.baseline = _total([scores.confusion(truth, b, classes) for truth, _, b in both], classes)
        self.agreeing = sum(int(((d == b) & (truth >= 0)).sum()) for truth, d, b in both)

    @property
    def windows(self) -> int:
        return int(self.device.sum())

    def row(self) -> dict[str, Any]:
        paired = int(self.baseline.sum())
        return {
            "subject": self.subject,
            "windows": self.windows,
            "accuracy": scores.accuracy(self.device),
            "macro_f1": scores.macro_f1(self.device),
            "confusion": self.device.tolist(),
            "baseline_accuracy": scores.accuracy(self.baseline),
            "agreement": self.agreeing / paired if paired else None,
        }


def _total(counts: Sequence[NDArray[np.int64]], classes: int) -> NDArray[np.int64]:
    total = np.zeros((classes, classes), np.int64)
    for one in counts:
        total += one
    return total
