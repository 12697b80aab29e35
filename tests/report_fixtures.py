"""A simulation result as a real run leaves it, made from seeds: HAPT-like people, errors between sitting and standing.

The figures of the summary are computed from the traces, so a page that adds up here adds up for a real run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from device_sim.events import event_scores
from device_sim.results import Event, Example, RecordingTrace, SimulationResult
from edgehar.recording import IMU_CHANNELS

LABELS = ("WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING")
RATE_HZ = 50.0
STAGES = {"sample": 0.9, "front_end": 2.4, "engine": 210.0, "decision": 11.0, "total": 226.0}  # typical µs

# latencies as a newer run states them, and what a board would cost
ROW = {"p50": 0.1, "p90": 0.2, "p99": 3.0, "p999": 40.0, "max": 5000.0, "count": 1000}
APART = {
    "latency_warm_up_us": {"decisions": 8, "stages": {"total": {**ROW, "max": 900.0, "count": 8}}},
    "latency_steady_us": {"total": {**ROW, "max": 700.0}},
    "host_noise_us": {"before": ROW, "after": {**ROW, "max": 12000.0}},
    "execution": {"threads": 1, "batch": 1},
}
PROFILE = {
    "board": "nrf52840_dk",
    "core": "cortex_m4f",
    "cycles": 1000,
    "layers": [
        {"name": "conv", "op": "conv1d", "macs": 640, "instructions": 500, "cycles": 700},
        {"name": "logits", "op": "dense", "macs": 64, "instructions": 200, "cycles": 260},
    ],
    "pipeline": {"latency_ms": 1.5, "deciding_push_ms": 0.9, "energy_uj": 12.0, "duty_cycle": 0.012, "cr2032_days": 300,
                 "flash_bytes": 20480, "ram_bytes": 4096, "stack_bytes": 240},
    "current": {"source": "data sheet", "verified": False},
}  # fmt: skip


def simulation(
    *,
    people: int = 9,
    recordings_each: int = 2,
    seconds: float = 368.0,
    window: int = 128,
    hop: int = 64,
    labels: tuple[str, ...] = LABELS,
    seed: int = 7,
    name: str = "ds_cnn",
) -> SimulationResult:
    """Return a run over ``people`` x ``recordings_each`` recordings, with truth, baseline and latencies."""
    rng = np.random.default_rng(seed)
    traces = []
    for person in range(people):
        clumsiness = 0.35 if person == 4 else rng.uniform(0.0, 0.12)
        for part in range(recordings_each):
            traces.append(_trace(rng, (person, part), clumsiness, int(seconds * RATE_HZ), (window, hop), k=len(labels)))
    run = _summary(rng, traces, labels, name), tuple(traces), labels, window, hop
    return SimulationResult(*run, IMU_CHANNELS, _examples(traces, window))


def _examples(traces: list[RecordingTrace], window: int) -> tuple[Example, ...]:
    """Windows that differ from the baseline, with samples from a seed of their own; one has a gap."""
    rng = np.random.default_rng(11)
    found = []
    for trace in traces:
        for i in np.flatnonzero(trace.decisions != trace.baseline)[:1].tolist():
            samples = rng.normal(0, 0.3, (window, 6)).astype(np.float32)
            samples[40:44, 1] = np.nan
            truth, device, baseline = int(trace.truth[i]), int(trace.decisions[i]), int(trace.baseline[i])
            start_s = float(trace.starts[i] / RATE_HZ)
            who = trace.recording, trace.subject
            found.append(Example(*who, start_s, truth, device, baseline, 0.51, samples))
    return tuple(found[:12])


def _trace(
    rng: np.random.Generator,
    who: tuple[int, int],
    clumsiness: float,
    length: int,
    framing: tuple[int, int],
    *,
    k: int,
) -> RecordingTrace:
    (person, part), (window, hop) = who, framing
    samples = np.full(length, -1, np.int16)
    at, label = int(rng.integers(200, 700)), int(rng.integers(k))
    while at < length - 300:
        stop = min(length, at + int(rng.integers(500, 1300)))
        samples[at:stop] = label
        at = stop + int(rng.integers(60, 260))
        label = int((label + rng.integers(1, k)) % k)
    starts = np.arange(0, length - window + 1, hop, dtype=np.int64)
    ends = starts + window - 1
    truth = np.array([samples[a] if (samples[a : a + window] == samples[a]).all() else -1 for a in starts], np.int16)
    known = np.where(samples >= 0, np.arange(length), 0)
    held = samples[np.maximum.accumulate(known)][np.maximum(ends - window // 2, 0)]
    decisions = np.where(held >= 0, held, 0).astype(np.int16)
    swap = {3: 4, 4: 3, 1: 2, 2: 1}
    bursts = np.convolve(rng.random(len(starts)) < clumsiness / 4, np.ones(4), mode="same") > 0
    confusable = np.array([int(d) in swap and swap[int(d)] < k for d in decisions])
    decisions = np.where(bursts & confusable, [swap.get(int(d), int(d)) for d in decisions], decisions).astype(np.int16)
    baseline = decisions.copy()
    flips = bursts & confusable & (rng.random(len(starts)) < 0.15)  # the baseline gets some of the hard ones right
    baseline[flips] = [swap[int(d)] for d in decisions[flips]]
    logits = rng.normal(0, 0.6, (len(starts), k)).astype(np.float32)
    logits[np.arange(len(starts)), decisions] += np.where(bursts, 1.2, 5.0) + rng.exponential(1.0, len(starts))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    outputs = np.clip(np.rint(logits * 10), -128, 127).astype(np.int8)
    change = np.flatnonzero(np.diff(decisions, prepend=-1))
    stops = np.append(ends[change[1:]], length) / RATE_HZ
    events = tuple(
        Event(int(decisions[i]), float(ends[i] / RATE_HZ), float(stop)) for i, stop in zip(change, stops, strict=True)
    )
    return RecordingTrace(
        f"user{person + 1:02d}_exp{part + 1:02d}", f"user{person + 1:02d}", RATE_HZ, samples, starts, truth, decisions,
        probabilities, outputs, baseline, events, tuple(e.start_s for e in events), length, 0,
    )  # fmt: skip


def macro_f1(matrix: np.ndarray) -> float:
    """Return the mean F1 of the classes that occur as truth or decision."""
    hits, sums = np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1)
    return float(np.mean(2 * hits[sums > 0] / sums[sums > 0]))


def _confusion(truth: np.ndarray, decided: np.ndarray, k: int) -> np.ndarray:
    matrix = np.zeros((k, k), np.int64)
    np.add.at(matrix, (truth, decided), 1)
    return matrix


def _summary(
    rng: np.random.Generator, traces: list[RecordingTrace], labels: tuple[str, ...], name: str
) -> dict[str, Any]:
    k = len(labels)
    people = sorted({t.subject for t in traces})
    per_subject, total, total_base = [], np.zeros((k, k), np.int64), np.zeros((k, k), np.int64)
    agree = []
    for subject in people:
        mine = [t for t in traces if t.subject == subject]
        scored = [t.truth >= 0 for t in mine]
        truth = np.concatenate([t.truth[s] for t, s in zip(mine, scored, strict=True)])
        device = np.concatenate([t.decisions[s] for t, s in zip(mine, scored, strict=True)])
        base = np.concatenate([t.baseline[s] for t, s in zip(mine, scored, strict=True) if t.baseline is not None])
        matrix, matrix_base = _confusion(truth, device, k), _confusion(truth, base, k)
        total, total_base = total + matrix, total_base + matrix_base
        agree.append(device == base)
        per_subject.append({
            "subject": subject, "windows": len(truth), "accuracy": float((truth == device).mean()),
            "macro_f1": macro_f1(matrix), "baseline_accuracy": float((truth == base).mean()),
            "agreement": float((device == base).mean()),
        })  # fmt: skip
    accuracy = float(np.trace(total) / total.sum())
    base_accuracy = float(np.trace(total_base) / total_base.sum())
    n = sum(len(t.decisions) for t in traces)
    samples = sum(len(t.sample_labels) for t in traces if t.sample_labels is not None)
    latency, histograms = _latencies(rng, n, samples)
    return {
        "schema_version": 1,
        "bundle_name": name,
        "bundle_sha256": "9f2c" * 16,
        "engine": "litert",
        "engine_version": "2.3.0 (BUILTIN_REF)",
        "recipe": "static_wi8_ai8",
        "dataset": "HAPT",
        "subjects": people,
        "recordings": len(traces),
        "samples": samples,
        "invalid_samples": 0,
        "windows": int(total.sum()),
        "windows_streamed": n,
        "accuracy": accuracy,
        "macro_f1": macro_f1(total),
        "accuracy_interval": [accuracy - 0.021, min(1.0, accuracy + 0.014)],
        "baseline": {"device": "cpu, torch 2.13", "accuracy": base_accuracy, "macro_f1": macro_f1(total_base),
                     "windows": int(total_base.sum())},
        "accuracy_drop_points": 100 * (base_accuracy - accuracy),
        "accuracy_drop_interval_points": [100 * (base_accuracy - accuracy) + d for d in (-0.3, 0.4)],
        "agreement": float(np.concatenate(agree).mean()),
        "events": event_scores(traces, labels),
        "per_subject": per_subject,
        "confusion": {"labels": list(labels), "device": total.tolist(), "baseline": total_base.tolist()},
        "latency_us": latency,
        "latency_histogram_us": histograms,
        "latency_kind": "measured",
        "latency_timed_every": 8,
        "clock": "simulated",
        "deadline_misses": 0,
        "deadline_misses_hop": 0,
        "realtime_factor": 2140.0,
        "interrupted": False,
        "wall_s": samples / RATE_HZ / 2140.0,
        "memory": {"ring buffer": 128 * 9 * 4, "front end state": 248, "interpreter arena": 21_504, "decisions": 96},
        "sizes": {
            "model_f32.onnx": 48_211, "model_f32.tflite": 47_020, "model_i8.onnx": 19_880, "model_i8.tflite": 17_656,
            "golden.npz": 120_334, "baseline.npz": 71_002, "baseline.json": 921, "MODEL_CARD.md": 2_911,
        },
        "host": {"machine": "x86_64", "system": "Linux 6.6", "processors": 2, "python": "3.11.9", "numpy": "2.3.1"},
        "provenance": {
            "command": "edgehar simulate runs/ds_cnn.edgehar --engine litert",
            "seed": 7,
            "config": {"model": "ds_cnn", "epochs": 30, "learning_rate": 0.004},
            "data": {"name": "HAPT", "sha256": "51ab" * 16, "licence": "CC BY 4.0"},
            "packages": {"torch": "2.13.0", "ai-edge-litert": "2.3.0"},
        },
    }  # fmt: skip


def _latencies(rng: np.random.Generator, decisions: int, samples: int) -> tuple[dict[str, Any], dict[str, Any]]:
    latency, histograms = {}, {}
    edges = np.logspace(-1, 6, 7 * 40 + 1)
    for stage, typical in STAGES.items():
        count = min(samples if stage in ("sample", "front_end") else decisions, 20_000)
        values = typical * rng.lognormal(0.0, 0.12, count)
        values[rng.random(count) < 0.004] *= 6
        p50, p90, p99, p999 = np.percentile(values, [50, 90, 99, 99.9])
        latency[stage] = {
            "p50": float(p50), "p90": float(p90), "p99": float(p99), "p999": float(p999), "max": float(values.max()),
            "count": count,
        }  # fmt: skip
        histograms[stage] = {"edges": edges.tolist(), "counts": np.histogram(values, edges)[0].tolist()}
    return latency, histograms
