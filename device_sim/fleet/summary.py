"""``fleet.json``: what all devices of a fleet add up to, and each of them in a row."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from device_sim import scores
from device_sim.fleet.shards import FIELDS, Job
from edgehar.bundle import Bundle
from edgehar.files import sha256_bytes

SCHEMA_VERSION = 1
WORST = 10
PERCENTS = {"p5": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95}


def fleet_summary(
    bundle: Bundle, job: Job, engine_version: str, seed: int, results: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return everything that depends on bundle, data and plan alone: the same wherever the shards were computed."""
    manifest = bundle.manifest
    columns = {name: [value for result in results for value in result["devices"][name]] for name in FIELDS}
    confusion = np.sum([result["confusion"] for result in results], axis=0)
    shares = [
        right / windows if windows else None
        for right, windows in zip(columns["right"], columns["windows"], strict=True)
    ]
    seconds = sum(columns["samples"]) / manifest.rate_hz
    recordings = job.recordings
    return {
        "schema_version": SCHEMA_VERSION,
        "bundle_name": manifest.name,
        "bundle_sha256": bundle.sha256,
        "engine": job.engine,
        "engine_version": engine_version,
        "recipe": manifest.recipe,
        "rate_hz": manifest.rate_hz,
        "seed": seed,
        "faults": ",".join(map(str, job.faults)) or None,
        "devices": len(job.plans),
        "dataset": ", ".join(dict.fromkeys(r.source for r in recordings if r.source)),
        "samples": sum(columns["samples"]),
        "invalid_samples": sum(columns["invalid_samples"]),
        "device_seconds": seconds,
        "decisions": sum(columns["decisions"]),
        "events": sum(columns["events"]),
        "events_per_device_hour": 3600 * sum(columns["events"]) / seconds if seconds else 0.0,
        "windows": sum(columns["windows"]),
        "accuracy": scores.accuracy(confusion),
        "macro_f1": scores.macro_f1(confusion),
        "confusion": {"labels": list(manifest.event_labels), "device": confusion.tolist()},
        "accuracy_of_devices": _distribution(shares),
        "worst": _worst(job, columns, shares),
        "state_bytes_per_device": max(result["state_bytes"] for result in results),
        "digest": sha256_bytes("".join(columns["digest"]).encode()),
        "recordings": [{"name": r.name, "subject": r.subject} for r in recordings],
        "per_device": {
            "recording": [plan.recording for plan in job.plans],
            "offset": [plan.offset for plan in job.plans],
            **columns,
        },
    }


def _distribution(shares: Sequence[float | None]) -> dict[str, float] | None:
    known = np.array([share for share in shares if share is not None])
    if len(known) == 0:
        return None
    figures = {name: float(np.percentile(known, percent)) for name, percent in PERCENTS.items()}
    ends = {"min": float(known.min()), "max": float(known.max())}
    return {"devices": len(known), "mean": float(known.mean()), "sd": float(known.std()), **ends, **figures}


def _worst(job: Job, columns: dict[str, list[Any]], shares: Sequence[float | None]) -> list[dict[str, Any]]:
    known = [(share, device) for device, share in enumerate(shares) if share is not None]
    rows = []
    for share, device in sorted(known)[:WORST]:
        plan = job.plans[device]
        recording = job.recordings[plan.recording]
        rows.append(
            {
                "device": device,
                "recording": recording.name,
                "subject": recording.subject,
                "offset_s": plan.offset / recording.rate_hz,
                "windows": columns["windows"][device],
                "accuracy": share,
            }
        )
    return rows


@dataclass(frozen=True)
class Workers:
    """Who computed the shards: ``here``, ``processes`` or ``ray``, and how many of them (0: Ray says)."""

    kind: str
    count: int

    def to_dict(self, rate_hz: float, wall_s: float, computed: Sequence[dict[str, Any]], reused: int) -> dict[str, Any]:
        """Return how fast it was: ``computed`` are the shards of this run, ``reused`` those that were there."""
        seconds = sum(sum(result["devices"]["samples"]) for result in computed) / rate_hz
        cpu_s = sum(result["cpu_s"] for result in computed)
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        child_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return {
            "workers": self.kind,
            "processes": self.count,
            "shards_computed": len(computed),
            "shards_reused": reused,
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "device_seconds": seconds,
            "device_seconds_per_second": seconds / wall_s if wall_s > 0 else 0.0,
            "device_seconds_per_core_second": seconds / cpu_s if cpu_s > 0 else 0.0,
            "peak_memory_bytes": 1024 * peak_kb,
            "largest_worker_bytes": 1024 * child_kb,
            "host": {
                "machine": platform.machine(),
                "system": platform.system(),
                "processors": os.cpu_count() or 1,
                "python": platform.python_version(),
                "numpy": np.__version__,
            },
        }
