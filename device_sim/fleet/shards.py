"""A fleet cut into shards: ranges of devices whose results depend on nothing but their plan.

So a shard can be computed anywhere, twice or again after a crash: its result replaces an earlier one of the same
number and is never added to it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from device_sim.engines.protocol import Engine
from device_sim.faults.replay import disturb
from device_sim.faults.spec import FaultSpec
from device_sim.fleet.group import COUNTS, Chunk, run_group, together
from device_sim.fleet.plan import DevicePlan, around
from edgehar.bundle import Bundle
from edgehar.files import sha256_bytes
from edgehar.recording import Recording

SHARD_VERSION = 1  # of what is in a shard's result; a folder of another version is refused
SHARD_DEVICES = 16  # a second or so of work, so that little is lost with a worker and progress is seen
FIELDS = (*COUNTS, "digest")


@dataclass(frozen=True, eq=False)
class Job:
    """All that a fleet's results depend on, as plain data that may travel to another process.

    Attributes:
        bundle: its folder.
        bundle_sha256: what the folder must hold.
        engine: key of ``ENGINES``.
        recordings: as the bundle's device would have recorded them (:func:`device_sim.sources.on_device`).
        plans: of all devices, in order.
        faults: between sensor and device, with the device's own seed.
        shard_devices: of each shard but the last.
    """

    bundle: Path
    bundle_sha256: str
    engine: str
    recordings: tuple[Recording, ...]
    plans: tuple[DevicePlan, ...]
    faults: tuple[FaultSpec, ...] = ()
    shard_devices: int = SHARD_DEVICES

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-len(self.plans) // self.shard_devices)

    def shard(self, index: int) -> Sequence[DevicePlan]:
        """Return the plans of one shard."""
        return self.plans[index * self.shard_devices : (index + 1) * self.shard_devices]

    def key(self, engine_version: str) -> str:
        """Return the SHA-256 of everything the results depend on."""
        data: list[Any] = [
            SHARD_VERSION,
            self.bundle_sha256,
            self.engine,
            engine_version,
            self.shard_devices,
            list(map(str, self.faults)),
        ]
        for recording in self.recordings:
            labels = b"" if recording.labels is None else recording.labels.tobytes()
            data += [recording.name, recording.subject, sha256_bytes(recording.samples.tobytes()), sha256_bytes(labels)]
        return sha256_bytes(json.dumps([data, self.plans]).encode())


def run_shard(job: Job, index: int, bundle: Bundle, engine: Engine) -> dict[str, Any]:
    """Return the result of one shard as plain JSON data.

    ``devices`` holds a column for each of ``FIELDS`` (and ``confusion`` their sum), which are the same wherever and
    whenever it runs; ``wall_s`` and ``cpu_s`` are not.

    Raises:
        EngineError: the interpreter failed.
    """
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    plans = job.shard(index)
    streams = [planned_streams(job, plan) for plan in plans]
    done = run_group(bundle, engine, [stream for of_device in streams for stream in of_device])
    results = iter(done.results)
    devices = [together([next(results) for _ in of_device]) for of_device in streams]
    return {
        "shard": index,
        "devices": {name: [getattr(result, name) for result in devices] for name in FIELDS},
        "confusion": np.sum([result.confusion for result in devices], axis=0).tolist(),
        "state_bytes": done.state_bytes,
        "wall_s": time.perf_counter() - begin_s,
        "cpu_s": time.process_time() - begin_cpu_s,
    }


def planned_streams(job: Job, plan: DevicePlan) -> list[Iterable[Chunk]]:
    """Return what a device of the fleet sees: one stream, or one for each time that faults make it forget the past."""
    recording = job.recordings[plan.recording]
    samples = list(around(recording.samples, plan))
    labels = [] if recording.labels is None else list(around(recording.labels, plan))
    if not job.faults:
        return [list(zip_longest(samples, labels))]
    truth = np.concatenate(labels) if labels else None
    name = f"{recording.name}, device {plan.device}"
    seen = replace(recording, name=name, samples=np.concatenate(samples), labels=truth)
    played = disturb(seen, job.faults, plan.seed)
    rows = [played.rows[piece.first : piece.first + len(piece.samples)] for piece in played.pieces]
    return [
        [(piece.samples, None if truth is None else truth[at])] for piece, at in zip(played.pieces, rows, strict=True)
    ]


def belongs(result: Any, job: Job, index: int) -> bool:
    """Return whether ``result`` is one of shard ``index``, complete."""
    try:
        columns = [result["devices"][name] for name in FIELDS]
        complete = all(len(column) == len(job.shard(index)) for column in columns)
        return bool(result["shard"] == index and complete and np.sum(result["confusion"]) == sum(columns[4]))
    except (KeyError, TypeError, IndexError, ValueError):
        return False
