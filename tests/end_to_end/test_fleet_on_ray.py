"""A fleet on Ray whose workers are killed in mid-run has the result of one that ran undisturbed in this process."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest
from device_fixtures import make_tiny_bundle, synthetic_recording

from device_sim.fleet.run import run_fleet
from edgehar.errors import EngineError

RECORDINGS = tuple(synthetic_recording(1500 + 100 * i, seed=i, name=f"r{i}", subject=f"s{i}") for i in range(3))
KILLS = 3


def children(parents):
    """(pid, command) of the processes whose parent is one of these."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            if parent in parents:
                found.append((int(folder.name), command))
    return found


def kill_workers(stop, killed):
    """Kill -9 whichever worker of our own Ray is at a shard."""
    while len(killed) < KILLS and not stop.wait(0.4):
        raylets = [pid for pid, command in children([os.getpid()]) if b"raylet" in command.split(b"\0")[0]]
        at_work = [pid for pid, command in children(raylets) if command.startswith(b"ray::_run")]
        if at_work:
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(at_work[0], signal.SIGKILL)
                killed.append(at_work[0])


@pytest.mark.filterwarnings("default")  # Ray leaves sockets and files to the garbage collector
def test_killed_workers_on_ray_lose_nothing_and_count_nothing_twice(tmp_path):
    import ray

    bundle = make_tiny_bundle(tmp_path)
    plan = {"devices": 60, "seconds": 1000.0, "shard_devices": 3}
    expected = run_fleet(bundle, RECORDINGS, **plan)
    stop, killed = threading.Event(), []
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    thread = threading.Thread(target=kill_workers, args=(stop, killed))
    thread.start()
    try:
        found = run_fleet(bundle, RECORDINGS, **plan, ray="local", out=tmp_path / "out")
        again = run_fleet(bundle, RECORDINGS, **plan, ray="local", out=tmp_path / "out")
        assert ray.is_initialized()  # it was not ours to stop
    finally:
        stop.set()
        thread.join()
        ray.shutdown()
    assert killed
    assert found["run"]["workers"] == "ray"
    assert found["run"]["shards_computed"] == 20
    assert again["run"]["shards_computed"] == 0
    for summary in (found, again):
        assert {**summary, "run": None} == {**expected, "run": None}


@pytest.mark.filterwarnings("default")
def test_a_cluster_that_does_not_answer_is_an_error(tmp_path):
    with pytest.raises(EngineError, match="no Ray cluster answers"):
        run_fleet(make_tiny_bundle(tmp_path), RECORDINGS, 1, ray="127.0.0.1:1")
