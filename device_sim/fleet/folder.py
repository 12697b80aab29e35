"""Shard results on disk: a fleet that was killed goes on where it stopped, and two never write to one folder.

::

    OUT/
      fleet.json        the summary, written last
      key.json          what the shards are of; another fleet is refused
      shards/00000.json one a shard, each whole or not there
      lock              held by the process that writes here
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from device_sim.fleet.shards import Job, belongs
from edgehar.errors import UsageError
from edgehar.files import write_json

KEY = "key.json"
LOCK = "lock"
SUMMARY = "fleet.json"


class FleetFolder:
    """A folder that this process holds the lock of."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def finished(self, job: Job) -> dict[int, dict[str, Any]]:
        """Return the shards that are there; files that are none of this job's shards are passed over."""
        found = {}
        for index in range(job.shards):
            try:
                result = json.loads(self._shard(index).read_text("utf-8"))
            except (FileNotFoundError, ValueError):
                continue
            if belongs(result, job, index):
                found[index] = result
        return found

    def store(self, index: int, result: dict[str, Any]) -> None:
        """Keep a shard's result in the place of an earlier one.

        Raises:
            OSError: the disk is full or the folder cannot be written; what was there stays.
        """
        write_json(self._shard(index), result)

    def _shard(self, index: int) -> Path:
        return self.path / "shards" / f"{index:05d}.json"


@contextmanager
def locked_folder(path: Path, key: str, what: str) -> Iterator[FleetFolder]:
    """Hold ``path`` for the fleet ``key``. The lock goes with the process, however that ends.

    Args:
        path: made if it is not there.
        key: of :meth:`Job.key`.
        what: the fleet in words, for whoever looks into the folder.

    Raises:
        UsageError: another process writes there, or the shards there are of another fleet.
    """
    path.mkdir(parents=True, exist_ok=True)
    with (path / LOCK).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise UsageError(
                f"{path}: another fleet writes there (process {owner}); wait for it, or choose another --out"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        _check_key(path, key, what)
        for left in [*path.glob(".*.json.*"), *path.glob("shards/.*.json.*")]:
            left.unlink()  # half-written by a process that was killed; nobody else writes here now
        yield FleetFolder(path)


def _check_key(path: Path, key: str, what: str) -> None:
    file = path / KEY
    try:
        found = json.loads(file.read_text("utf-8"))
        there, its = found["key"], found["what"]
    except FileNotFoundError:
        if (path / "shards").is_dir() or (path / SUMMARY).exists():
            raise UsageError(f"{path}: holds results but no {KEY} that says of what; choose another --out") from None
        write_json(file, {"key": key, "what": what})
        return
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{file}: is damaged; remove the folder or choose another --out") from None
    if there != key:
        raise UsageError(
            f"{path}: holds another fleet's results ({its}), this one is {what}; choose another --out, or remove it"
        )
