"""Fleets as a whole: plans, shards, folders, processes, the command; nothing lost and nothing counted twice."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib import resources
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from device_fixtures import make_tiny_bundle, synthetic_recording

from device_sim.device import Device
from device_sim.engines import open_engine
from device_sim.faults.replay import disturb
from device_sim.faults.spec import parse_faults
from device_sim.fleet import folder as folder_module
from device_sim.fleet import workers
from device_sim.fleet.folder import locked_folder
from device_sim.fleet.group import run_group
from device_sim.fleet.plan import around, plan_devices
from device_sim.fleet.run import run_fleet
from device_sim.simulate import simulate
from edgehar.cli import main
from edgehar.errors import DataError, EngineError, UsageError

RECORDINGS = tuple(synthetic_recording(1500 + 100 * i, seed=i, name=f"r{i}", subject=f"s{i}") for i in range(3))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_tiny_bundle(tmp_path_factory.mktemp("fleet"))


def facts(summary):
    """All of a summary that does not depend on how it was computed."""
    return {name: value for name, value in summary.items() if name != "run"}


def test_the_first_devices_are_the_simulation(bundle):
    result = simulate(bundle, RECORDINGS)
    summary = run_fleet(bundle, RECORDINGS, len(RECORDINGS))
    assert summary["accuracy"] == result.summary["accuracy"]
    assert summary["macro_f1"] == result.summary["macro_f1"]
    assert summary["confusion"]["device"] == result.summary["confusion"]["device"]
    assert summary["decisions"] == result.summary["windows_streamed"]
    assert summary["events"] == result.summary["events"]["count"]
    shares = {row["recording"]: row["accuracy"] for row in summary["worst"]}
    by_name = {r.name: r.subject for r in RECORDINGS}
    assert shares == {
        name: next(row["accuracy"] for row in result.summary["per_subject"] if row["subject"] == subject)
        for name, subject in by_name.items()
    }


def test_a_plan_does_not_depend_on_the_size_of_the_fleet():
    plans = plan_devices(RECORDINGS, 20, seconds=12.0, seed=3)
    assert plan_devices(RECORDINGS, 7, seconds=12.0, seed=3) == plans[:7]
    assert [p.offset for p in plans[:3]] == [0, 0, 0]
    assert len({p.offset for p in plans}) > 10
    assert {p.samples for p in plans} == {600}
    assert plan_devices(RECORDINGS, 20, seconds=12.0, seed=4)[5:] != plans[5:]


def test_a_stream_goes_around_its_recording():
    (plan,) = plan_devices(RECORDINGS[:1], 1, seconds=70.0)
    samples = RECORDINGS[0].samples
    found = np.concatenate(list(around(samples, plan._replace(offset=1000))))
    assert np.array_equal(found, np.concatenate([samples[1000:], samples, samples])[:3500])


def test_shards_and_processes_change_no_bit(bundle, tmp_path):
    whole = run_fleet(bundle, RECORDINGS, 11, seconds=40.0, shard_devices=11)
    parts = run_fleet(bundle, RECORDINGS, 11, seconds=40.0, shard_devices=3)
    spread = run_fleet(bundle, RECORDINGS, 11, seconds=40.0, shard_devices=2, jobs=2, out=tmp_path / "out")
    assert facts(whole) == facts(parts) == facts(spread)
    assert spread["run"]["workers"] == "processes"
    assert json.loads((tmp_path / "out" / "fleet.json").read_text()) == spread
    assert not multiprocessing.active_children()


def test_chunks_of_a_stream_may_have_any_length(bundle):
    engine = open_engine("litert", bundle)
    recording = RECORDINGS[0]
    whole = run_group(bundle, engine, [[(recording.samples, recording.labels)]])
    cuts = [0, 1, 7, 7, 300, 1499, 1500]
    pieces = [(recording.samples[a:b], recording.labels[a:b]) for a, b in pairwise(cuts)]
    cut, empty = run_group(bundle, engine, [iter(pieces), iter([])]).results
    assert cut.digest == whole.results[0].digest
    assert (cut.windows, cut.right) == (whole.results[0].windows, whole.results[0].right)
    assert (empty.samples, empty.decisions, empty.windows) == (0, 0, 0)


def test_summary_fits_its_schema_with_and_without_labels(bundle):
    schema = json.loads(resources.files("device_sim").joinpath("schemas/fleet.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    summary = run_fleet(bundle, RECORDINGS, 4)
    jsonschema.validate(summary, schema)
    unlabelled = [replace(r, labels=None) for r in RECORDINGS]
    blind = run_fleet(bundle, unlabelled, 4)
    jsonschema.validate(blind, schema)
    assert (blind["accuracy"], blind["accuracy_of_devices"], blind["worst"]) == (None, None, [])
    assert blind["digest"] == summary["digest"]


def test_devices_have_faults_of_their_own(bundle):
    faults = parse_faults("nan:0.05,reboot:1,drop:0.02")
    summary = run_fleet(bundle, RECORDINGS, 7, faults=faults)
    clean = run_fleet(bundle, RECORDINGS, 7)
    assert facts(run_fleet(bundle, RECORDINGS, 7, faults=faults, shard_devices=2)) == facts(summary)
    columns = summary["per_device"]
    assert min(columns["invalid_samples"]) > 0
    assert summary["samples"] < clean["samples"]
    assert not set(columns["digest"]) & set(clean["per_device"]["digest"])
    seeds = [plan.seed for plan in plan_devices(RECORDINGS, 7)]
    assert len(set(seeds)) == 7
    # the first device's pieces, each in a device alone
    (engine, plan) = open_engine("litert", bundle), plan_devices(RECORDINGS, 1)[0]
    named = replace(RECORDINGS[0], name="r0, device 0")
    device = Device(bundle, engine)
    decisions = invalid = 0
    for piece in disturb(named, faults, plan.seed).pieces:
        device.reset()
        decisions += sum(len(batch.starts) for batch in device.batches(piece.samples))
        invalid += device.invalid_samples
    assert (columns["decisions"][0], columns["invalid_samples"][0]) == (decisions, invalid)


def test_a_stopped_fleet_goes_on(bundle, tmp_path):
    full = run_fleet(bundle, RECORDINGS, 9, shard_devices=2)

    def stop(share):
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_fleet(bundle, RECORDINGS, 9, shard_devices=2, out=tmp_path, progress=stop)
    kept = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert 0 < len(kept) < 5
    (tmp_path / "shards" / "00000.json").write_text('{"shard": 0}')  # damaged: computed again
    (tmp_path / "shards" / ".00004.json.abc").write_text("half")  # left by a process that was killed
    again = run_fleet(bundle, RECORDINGS, 9, shard_devices=2, out=tmp_path)
    assert facts(again) == facts(full)
    assert again["run"]["shards_reused"] == len(kept) - 1
    assert not list(tmp_path.rglob(".*"))
    assert run_fleet(bundle, RECORDINGS, 9, shard_devices=2, out=tmp_path)["run"]["shards_computed"] == 0


def test_a_folder_belongs_to_one_fleet(bundle, tmp_path):
    run_fleet(bundle, RECORDINGS, 3, out=tmp_path / "out")
    other = replace(RECORDINGS[0], samples=RECORDINGS[0].samples + np.float32(1))
    for change in (
        {"devices": 4},
        {"recordings": [other, *RECORDINGS[1:]]},
        {"seed": 1},
        {"engine_name": "litert_ref"},
    ):
        arguments = {"bundle": bundle, "recordings": RECORDINGS, "devices": 3, "out": tmp_path / "out", **change}
        with pytest.raises(UsageError, match="another fleet's results"):
            run_fleet(**arguments)
    (tmp_path / "out" / "key.json").unlink()
    with pytest.raises(UsageError, match=r"no key\.json"):
        run_fleet(bundle, RECORDINGS, 3, out=tmp_path / "out")


def test_two_fleets_never_write_to_one_folder(bundle, tmp_path):
    with (
        locked_folder(tmp_path, "k", "the other"),
        pytest.raises(UsageError, match=f"another fleet writes there \\(process {os.getpid()}\\)"),
    ):
        run_fleet(bundle, RECORDINGS, 3, out=tmp_path)


def test_a_full_disk_leaves_what_was_there(bundle, tmp_path, monkeypatch):
    run_fleet(bundle, RECORDINGS, 6, shard_devices=2, out=tmp_path)
    before = (tmp_path / "fleet.json").read_bytes()

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(folder_module, "write_json", full)
    (tmp_path / "shards" / "00001.json").unlink()
    with pytest.raises(OSError, match="No space"):
        run_fleet(bundle, RECORDINGS, 6, shard_devices=2, out=tmp_path)
    assert (tmp_path / "fleet.json").read_bytes() == before


KILLED_AT_EVERY_OPERATION = """
import itertools, os, signal, sys
from pathlib import Path

from device_fixtures import synthetic_recording
from device_sim.fleet.run import run_fleet
from edgehar.bundle import Bundle

bundle, root = Bundle.open(sys.argv[1]), Path(sys.argv[2])
recordings = [synthetic_recording(700, seed=i, name=f"r{i}") for i in range(2)]

def fleet(out):
    summary = run_fleet(bundle, recordings, 5, shard_devices=2, out=out)
    return {**summary, "run": None}

def killed(out, left):
    def watch(event, details):
        nonlocal left
        writes = event == "open" and isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if (writes or event in ("os.rename", "os.remove", "os.mkdir", "os.chmod")) and str(details[0]).startswith(out):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    fleet(Path(out))
    os._exit(0)

expected = fleet(None)
for cut in itertools.count(1):
    out = root / str(cut)
    pid = os.fork()
    if pid == 0:
        killed(str(out), cut)
    if os.waitpid(pid, 0)[1] == 0:
        break
    assert fleet(out) == expected, cut
    assert sorted(p.name for p in out.iterdir()) == ["fleet.json", "key.json", "lock", "shards"], cut
    assert sorted(p.name for p in (out / "shards").iterdir()) == ["00000.json", "00001.json", "00002.json"], cut
print(cut - 1)
"""


def test_killed_before_any_file_operation_a_fleet_goes_on(bundle, tmp_path):
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
    command = [sys.executable, "-c", KILLED_AT_EVERY_OPERATION, str(bundle.path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 15  # folders, lock, key, three shards and the summary


def killer(stop, kills, most):
    """Kill a worker process now and then."""
    while not stop.is_set() and len(kills) < most:
        for child in multiprocessing.active_children():
            if not stop.is_set() and len(kills) < most:
                time.sleep(0.05)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                    kills.append(child.pid)
                break
        time.sleep(0.3)


def test_killed_workers_lose_nothing_and_count_nothing_twice(bundle, tmp_path):
    expected = run_fleet(bundle, RECORDINGS, 40, seconds=400.0, shard_devices=2)
    stop, kills = threading.Event(), []
    thread = threading.Thread(target=killer, args=(stop, kills, 2))
    thread.start()
    try:
        found = run_fleet(bundle, RECORDINGS, 40, seconds=400.0, shard_devices=2, jobs=2, out=tmp_path)
    finally:
        stop.set()
        thread.join()
    assert kills
    assert facts(found) == facts(expected)


def test_workers_that_always_die_are_an_error(bundle, monkeypatch):
    monkeypatch.setattr(workers, "LOST_POOLS", 1)
    stop, kills = threading.Event(), []
    thread = threading.Thread(target=killer, args=(stop, kills, 100))
    thread.start()
    try:
        with pytest.raises(EngineError, match="worker processes died 1 times"):
            run_fleet(bundle, RECORDINGS, 40, seconds=40_000.0, jobs=2)
    finally:
        stop.set()
        thread.join()


def test_wrong_numbers_are_refused(bundle):
    for change in ({"devices": 0}, {"jobs": 0}, {"seconds": 0.0}, {"seconds": float("nan")}, {"shard_devices": 0}):
        with pytest.raises(UsageError, match="expected"):
            run_fleet(**{"bundle": bundle, "recordings": RECORDINGS, "devices": 1, **change})
    with pytest.raises(DataError, match="no recording"):
        run_fleet(bundle, [], 1)


def test_the_command(tmp_path, capsys):
    csv, file = tmp_path / "walk.csv", tmp_path / "fleet.json"
    rows = [",".join([*map(str, sample), "walking"]) for sample in RECORDINGS[0].samples[:600].tolist()]
    csv.write_text("\n".join(["acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z,label", *rows]))
    arguments = [
        "fleet",
        "zoo:ds_cnn_3k",
        "--devices",
        "3",
        "--minutes",
        "0.2",
        "--jobs",
        "1",
        "--recordings",
        str(csv),
    ]
    assert main([*arguments, "--json", str(file), "--out", str(tmp_path / "out")]) == 0
    assert "Accuracy of devices" in capsys.readouterr().out
    summary = json.loads(file.read_text())
    assert (summary["devices"], summary["samples"]) == (3, 1800)
    assert main([*arguments, "--seed", "1", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "holds another fleet's results" in error
    assert error.count("\n") == 1
