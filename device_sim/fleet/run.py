"""Stream recordings through a whole fleet, here, in several processes or on Ray, and sum up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from device_sim.engines import DEFAULT_ENGINE, open_engine
from device_sim.faults.spec import FaultSpec
from device_sim.fleet.folder import SUMMARY, FleetFolder, locked_folder
from device_sim.fleet.plan import plan_devices
from device_sim.fleet.shards import SHARD_DEVICES, Job
from device_sim.fleet.summary import Workers, fleet_summary
from device_sim.fleet.workers import Results, run_here, run_in_processes
from device_sim.sources import on_device
from edgehar.bundle import Bundle
from edgehar.errors import DataError, UsageError
from edgehar.files import write_json
from edgehar.recording import Recording

Progress = Callable[[float], None]  # share of all samples done, 0..1
HERE = "here"


def run_fleet(
    bundle: Bundle,
    recordings: Sequence[Recording],
    devices: int,
    engine_name: str = DEFAULT_ENGINE,
    *,
    seconds: float | None = None,
    seed: int = 0,
    faults: Sequence[FaultSpec] = (),
    jobs: int = 1,
    ray: str | None = None,
    shard_devices: int = SHARD_DEVICES,
    out: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return the fleet's summary (schema: ``device_sim/schemas/fleet.schema.json``).

    Args:
        bundle: what all devices run.
        recordings: dealt out to the devices (:func:`device_sim.fleet.plan.plan_devices`).
        devices: how many.
        engine_name: key of ``ENGINES``.
        seconds: that each device streams; None: its recording once.
        seed: of where in its recording a device begins, and of its faults.
        faults: between sensor and device, each device's own.
        jobs: processes on this computer, where ``ray`` is None.
        ray: address of a Ray cluster, or ``local`` for one on this computer.
        shard_devices: in one piece of work.
        out: folder that keeps the shards as they are done; the same call goes on there after a kill or Ctrl-C.
        progress: called now and then.

    Raises:
        UsageError: a number is out of range, or ``out`` is of another fleet or in use.
        DataError: no recording, or one that does not fit the bundle.
        MissingExtraError, EngineError: see :func:`device_sim.engines.open_engine`; or workers keep dying.
        OSError: ``out`` cannot be written; what was there stays.
    """
    if not recordings:
        raise DataError("no recording for a fleet; give at least one")
    for name, number in (("devices", devices), ("jobs", jobs), ("devices of a shard", shard_devices)):
        if number < 1:
            raise UsageError(f"{name}: {number}, expected at least 1")
    if seconds is not None and not 0 < seconds < float("inf"):
        raise UsageError(f"{seconds} s for each device, expected a positive number")
    job = Job(
        bundle=bundle.path.resolve(),
        bundle_sha256=bundle.sha256,
        engine=engine_name,
        recordings=tuple(on_device(recording, bundle.manifest) for recording in recordings),
        plans=tuple(plan_devices(recordings, devices, seconds=seconds, seed=seed)),
        faults=tuple(faults),
        shard_devices=shard_devices,
    )
    version = open_engine(engine_name, bundle).version
    what = f"{devices} x {bundle.manifest.name} ({bundle.sha256[:12]}) on {engine_name} {version}, seed {seed}"
    what += f", faults {','.join(map(str, faults))}" if faults else ""
    begin_s = time.perf_counter()
    with contextlib.ExitStack() as stack:
        folder = None if out is None else stack.enter_context(locked_folder(out, job.key(version), what))
        results = {} if folder is None else folder.finished(job)
        reused = len(results)
        missing = [index for index in range(job.shards) if index not in results]
        workers, coming = _workers(job, missing, jobs, ray)
        _collect(job, results, stack.enter_context(contextlib.closing(coming)), folder, progress)
        summary = fleet_summary(bundle, job, version, seed, [results[index] for index in range(job.shards)])
        computed, wall_s = [results[index] for index in missing], time.perf_counter() - begin_s
        summary["run"] = workers.to_dict(bundle.manifest.rate_hz, wall_s, computed, reused)
        if folder is not None:
            write_json(folder.path / SUMMARY, summary)
    return summary


def _workers(job: Job, missing: Sequence[int], jobs: int, ray: str | None) -> tuple[Workers, Results]:
    if ray is not None:
        from device_sim.fleet.on_ray import run_on_ray  # noqa: PLC0415  (ray is imported when it is asked for)

        return Workers("ray", 0), run_on_ray(job, missing, ray)
    jobs = min(jobs, max(1, len(missing)))
    if jobs == 1:
        return Workers(HERE, 1), run_here(job, missing)
    return Workers("processes", jobs), run_in_processes(job, missing, jobs)


def _collect(
    job: Job,
    results: dict[int, dict[str, Any]],
    coming: Results,
    folder: FleetFolder | None,
    progress: Progress | None,
) -> None:
    """Put what comes under its number, on disk too; a second result of a shard replaces the first."""
    sizes = [sum(plan.samples for plan in job.shard(index)) for index in range(job.shards)]
    total, done = sum(sizes), sum(sizes[index] for index in results)
    if progress is not None:
        progress(done / total)
    for index, result in coming:
        if folder is not None:
            folder.store(index, result)
        done += 0 if index in results else sizes[index]
        results[index] = result
        if progress is not None:
            progress(done / total)
