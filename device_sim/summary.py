"""What a simulation says in the end: how right and how fast it was, as ``summary.json``."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim import scores
from device_sim.emulator.summary import energy_summary
from device_sim.engines.protocol import ModelledEngine
from device_sim.events import event_scores
from device_sim.results import SUMMARY_SCHEMA_VERSION, RecordingTrace
from device_sim.run import Run
from edgehar.heads import UNKNOWN, Task, score_head, share_alike
from edgehar.host import cpu_name


def summary_of(run: Run) -> dict[str, Any]:
    """Return the versioned ``summary.json`` of a run."""
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


def _faults(run: Run) -> dict[str, Any] | None:
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


def _latencies(run: Run) -> dict[str, Any]:
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


def _busy_s(run: Run) -> float | None:
    """Mean time that a hop keeps the device busy, where it was timed."""
    busy = run.telemetry.busy_ns(run.bundle.manifest.hop)
    return None if busy is None else busy / 1e9


def _energy(run: Run) -> dict[str, Any] | None:
    engine, manifest, busy_s = run.device.engine, run.bundle.manifest, _busy_s(run)
    if busy_s is None or not isinstance(engine, ModelledEngine):
        return None
    return energy_summary(engine.board, 1000 * busy_s, manifest.hop / manifest.rate_hz)


def _mlperf_tiny(run: Run, events: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of MLPerf Tiny's streaming wake word, an activity in place of the word."""
    manifest, busy_s = run.bundle.manifest, _busy_s(run)
    missed, extra = events["true"], events["announced"]
    return {
        "FalsePositives": None if extra is None else extra["inserted"],
        "FalseNegatives": None if missed is None else missed["deleted"],
        "DutyCycle": None if busy_s is None else busy_s * manifest.rate_hz / manifest.hop,
    }


def _scores(run: Run) -> dict[str, Any]:
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


def _decision(run: Run) -> dict[str, Any]:
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


def _head_scores(run: Run, index: int) -> dict[str, Any]:
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
