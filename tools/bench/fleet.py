"""What a fleet costs on top of the bare interpreter: ``python tools/bench/fleet.py BUNDLE [--devices 1000]``.

On the bundle's held-out recordings, in one process, shard by shard, so that both sides meet the same load:

- bare: ``engine.infer`` over the finished windows of all devices of the shard, one by one
- fleet: ``run_shard`` as ``edgehar fleet`` calls it: raw samples, front end, windows, engine, decisions, events, scores

and the same for shards of a single device. Times are CPU time of the process; ratios are medians over shards. Besides,
the bytes that a device adds to the process (fleets of two sizes, pushed a few hops), and how many devices a core keeps
up with.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from device_sim.engines import open_engine
from device_sim.fleet.fleet import open_fleet
from device_sim.fleet.plan import plan_devices
from device_sim.fleet.shards import SHARD_DEVICES, Job, planned_streams, run_shard
from device_sim.sources import on_device
from edgehar.bundle import Bundle
from edgehar.cli.held_out import choose_recordings
from edgehar.errors import EdgeharError
from edgehar.files import write_json
from edgehar.signal import sliding_windows

MEMORY_DEVICES = (1000, 11_000)
SINGLES = 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE", help="folder NAME.edgehar, or zoo:NAME")
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--engines", nargs="+", default=["litert", "c_native"], metavar="E")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures that are there already stay")
    options = parser.parse_args()
    found = {}
    try:
        for name in options.bundles:
            for engine in options.engines:
                found[f"{name} {engine}"] = figures = measure(Bundle.open(name), engine, options.devices)
                print(f"{name} on {engine}")
                for key, value in figures.items():
                    print(f"  {key:40} {value:14,.3f}", flush=True)
    except EdgeharError as error:
        print(f"edgehar: error: {error}", file=sys.stderr)
        return error.exit_code
    if options.json is not None:
        command = " ".join(["python", "tools/bench/fleet.py", *sys.argv[1:]])
        before = json.loads(options.json.read_text("utf-8")) if options.json.exists() else {}
        write_json(options.json, before | {name: {"command": command, **figures} for name, figures in found.items()})
    return 0


def table(found: Mapping[str, Any]) -> str:
    """Return the figures of ``--json`` in Markdown."""
    columns = (
        *("bundle", "engine", "devices", "bare, µs a decision", "fleet", "ratio", "ratio of a single device"),
        *("devices that a core keeps up with", "state of a device", "process grows by"),
    )
    lines = []
    for name, figures in found.items():
        bundle, engine = name.split()
        cells = [
            f"`{bundle}`",
            engine,
            f"{figures['devices']:,}",
            *(f"{figures[f'{side}_us_per_decision']:.1f}" for side in ("bare", "fleet")),
            *(f"{figures[key]:.2f}" for key in ("fleet_ratio", "single_device_ratio")),
            f"{round(figures['device_seconds_per_core_second'], -3):,.0f}",
            *(f"{figures[f'{what}_bytes_per_device'] / 1000:.1f} kB" for what in ("state", "process")),
        ]
        lines.append(f"| {' | '.join(cells)} |\n")
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n" + "".join(lines)


def measure(bundle: Bundle, engine_name: str, devices: int) -> dict[str, float]:
    """Return ratios to bare, µs a decision, multiples of real time and bytes."""
    recordings, _ = choose_recordings(bundle, [], [])
    job = Job(
        bundle=bundle.path,
        bundle_sha256=bundle.sha256,
        engine=engine_name,
        recordings=tuple(on_device(recording, bundle.manifest) for recording in recordings),
        plans=tuple(plan_devices(recordings, devices)),
    )
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        memory = fresh.submit(bytes_of_a_device, bundle, engine_name).result()
    engine = open_engine(engine_name, bundle)
    single = replace(job, shard_devices=1)
    for warm in (job, single):
        run_shard(warm, 0, bundle, engine)
    fleet = [compare(job, index, bundle, engine) for index in range(job.shards)]
    one = [compare(single, index, bundle, engine) for index in range(min(SINGLES, devices))]
    seconds = sum(plan.samples for plan in job.plans) / bundle.manifest.rate_hz
    bare_s, fleet_s, decisions = (sum(column) for column in zip(*fleet, strict=True))
    return {
        "devices": devices,
        "devices_of_a_shard": SHARD_DEVICES,
        "decisions": decisions,
        "bare_us_per_decision": 1e6 * bare_s / decisions,
        "fleet_us_per_decision": 1e6 * fleet_s / decisions,
        "fleet_ratio": statistics.median(fleet / bare for bare, fleet, _ in fleet),
        "single_device_ratio": statistics.median(fleet / bare for bare, fleet, _ in one),
        "device_seconds": seconds,
        "device_seconds_per_core_second": seconds / fleet_s,
        "state_bytes_per_device": open_fleet(bundle, engine, 1).state_bytes,
        "process_bytes_per_device": memory,
    }


def compare(job: Job, index: int, bundle: Bundle, engine: Any) -> tuple[float, float, int]:
    """Return CPU seconds of bare engine and shard, and the number of decisions."""
    manifest = bundle.manifest
    windows = []
    for plan in job.shard(index):
        (stream,) = planned_streams(job, plan)
        samples = np.concatenate([part for part, _ in stream])
        series = sliding_windows(manifest.front_end.run(samples), manifest.window, manifest.hop)
        tensors = [each.quant.quantize(each.tensor(series)) for each in manifest.inputs]
        windows += [tuple(map(np.ascontiguousarray, window)) for window in zip(*tensors, strict=True)]
    infer = engine.infer
    begin = time.process_time()
    for window in windows:
        infer(*window)
    bare_s = time.process_time() - begin
    result = run_shard(job, index, bundle, engine)
    assert sum(result["devices"]["decisions"]) == len(windows)
    return bare_s, result["cpu_s"], len(windows)


def bytes_of_a_device(bundle: Bundle, engine_name: str) -> float:
    """Return by how much the process grows for each device that is switched on and has decided."""
    engine = open_engine(engine_name, bundle)
    manifest = bundle.manifest
    sizes, fleets = [], []
    for devices in MEMORY_DEVICES:
        fleets.append(open_fleet(bundle, engine, devices))
        steps = manifest.window + 2 * manifest.hop
        for at in range(0, steps, manifest.hop):
            length = min(manifest.hop, steps - at)
            fleets[-1].push(np.zeros((devices, length, len(manifest.channels)), np.float32), [length] * devices)
        gc.collect()
        sizes.append(resident_bytes())
    return (sizes[1] - sizes[0]) / MEMORY_DEVICES[1]  # the first fleet is there both times


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
