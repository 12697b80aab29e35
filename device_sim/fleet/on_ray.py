"""The same shards on Ray: on the computers of a cluster, or on this one."""

from __future__ import annotations

import logging
import socket
import tempfile
import uuid
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_sim.fleet.shards import Job
from device_sim.fleet.workers import Results, Worker
from edgehar.bundle import Bundle
from edgehar.errors import EngineError, MissingExtraError

LOCAL = "local"
CONNECT_S = 10
NO_CLUSTER = "no Ray cluster answers"
LOST_TRIES = 20  # of one shard, beside Ray's own; then something is wrong that trying again does not mend


def run_on_ray(job: Job, shards: Iterable[int], address: str) -> Results:
    """Yield (shard, result) as they come, each shard once.

    A worker that is killed costs its shard's time: the shard is computed again, and what comes is put under its
    number. Ray is started, or joined at ``address``, unless this process has done so already.

    Args:
        job: travels to the workers once, with the bundle's files.
        shards: numbers.
        address: of a cluster, or ``local``.

    Raises:
        MissingExtraError: Ray is not installed.
        EngineError: no cluster answers, or workers die again and again.
    """
    try:
        import ray  # noqa: PLC0415
    except ModuleNotFoundError:
        raise MissingExtraError("ray", "fleet", "a fleet on Ray") from None

    started = not ray.is_initialized()
    if started:
        where = {"include_dashboard": False} if address == LOCAL else {"address": address}
        _check_answers(address)
        try:
            ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError) as error:
            raise EngineError(f"{NO_CLUSTER} at {address!r} ({' '.join(str(error).split())})") from None
    lost = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError)
    run = ray.remote(num_cpus=1, max_retries=-1)(_run)
    try:
        parcel = ray.put((job, Bundle.open(job.bundle).contents()))
        key = uuid.uuid4().hex
        running = {run.remote(parcel, key, index): index for index in shards}
        tries: dict[int, int] = {}
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            index = running.pop(done)
            try:
                result = ray.get(done)
            except lost as error:
                tries[index] = tries.get(index, 0) + 1
                if tries[index] == LOST_TRIES:
                    raise EngineError(f"shard {index}: its worker on Ray died {LOST_TRIES} times ({error})") from None
                running[run.remote(parcel, key, index)] = index
                continue
            yield index, result
    finally:
        if started:
            ray.shutdown()


def _check_answers(address: str) -> None:
    """Find out in seconds what Ray takes minutes for: whether anybody listens at HOST:PORT."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except OSError as error:
        raise EngineError(f"{NO_CLUSTER} at {address!r} ({error.strerror or error}); check --ray ADDRESS") from None


_worker: dict[str, tuple[tempfile.TemporaryDirectory[str], Worker]] = {}  # of the newest job, in a worker of Ray


def _run(parcel: tuple[Job, dict[str, bytes]], key: str, index: int) -> dict[str, Any]:
    """Run a shard in a worker of Ray, which keeps bundle and engine for the next one."""
    if key not in _worker:
        job, files = parcel
        folder = tempfile.TemporaryDirectory(prefix="edgehar-fleet-")
        for name, data in files.items():
            path = Path(folder.name, job.bundle.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        _worker.clear()
        _worker[key] = folder, Worker(replace(job, bundle=Path(folder.name, job.bundle.name)))
    return _worker[key][1].run(index)
