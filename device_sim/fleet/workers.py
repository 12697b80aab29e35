"""Shards in this process, or in several of them; a worker that dies takes nothing with it but its own time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from device_sim.engines import open_engine
from device_sim.engines.protocol import Engine
from device_sim.fleet.shards import Job, run_shard
from edgehar.bundle import Bundle
from edgehar.errors import BundleError, EngineError

LOST_POOLS = 5  # in a row without a shard between them; then something is wrong that trying again does not mend

Results = Generator[tuple[int, dict[str, Any]], None, None]


class Worker:
    """A bundle and an engine that run shard after shard.

    Raises:
        BundleError: the folder holds another bundle than the job is about.
        MissingExtraError, EngineError: see :func:`device_sim.engines.open_engine`.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._bundle = Bundle.open(job.bundle)
        if self._bundle.sha256 != job.bundle_sha256:
            raise BundleError(f"{job.bundle}: was changed while the fleet ran; run it again")
        self.engine: Engine = open_engine(job.engine, self._bundle)

    def run(self, index: int) -> dict[str, Any]:
        """Return :func:`device_sim.fleet.shards.run_shard`."""
        return run_shard(self._job, index, self._bundle, self.engine)


def run_here(job: Job, shards: Iterable[int]) -> Results:
    """Yield (shard, result), one after another."""
    worker = Worker(job)
    for index in shards:
        yield index, worker.run(index)


def run_in_processes(job: Job, shards: Iterable[int], jobs: int) -> Results:
    """Yield (shard, result) as ``jobs`` processes make them, each shard once.

    Where a process is killed all of them start anew, with the shards that have not come.

    Raises:
        EngineError: they die again and again.
    """
    waiting = list(shards)
    lost = 0
    while waiting:
        try:
            for index, result in _run_in_pool(job, waiting, jobs):
                waiting.remove(index)
                lost = 0
                yield index, result
        except BrokenProcessPool:
            lost += 1
            if lost == LOST_POOLS:
                raise EngineError(
                    f"worker processes died {lost} times and finished nothing (killed, or out of memory?); try with "
                    "--jobs 1"
                ) from None


def _run_in_pool(job: Job, shards: list[int], jobs: int) -> Results:
    spawn = multiprocessing.get_context("spawn")  # interpreters and their threads do not survive a fork
    strangers = multiprocessing.active_children()
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_start, initargs=(job, os.getpid())) as pool:
        queue = list(shards)
        running: dict[Future[dict[str, Any]], int] = {}
        try:
            while queue or running:
                while queue and len(running) < jobs + 1:  # one more than they can take, so that none waits for us
                    index = queue.pop(0)
                    running[pool.submit(_run, index)] = index
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in [each for each in multiprocessing.active_children() if each not in strangers]:
                worker.kill()  # it holds nothing but a shard that will be computed again
            raise


_worker: list[Worker] = []


def _start(job: Job, parent: int) -> None:
    """Make a process a worker: Ctrl-C is for its parent, and it ends when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _worker[:] = [Worker(job)]


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _run(index: int) -> dict[str, Any]:
    return _worker[0].run(index)
