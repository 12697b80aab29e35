"""Mutated files of every other kind through their readers: a result or an ``EdgeharError``, soon, inside their folder.

    python tools/fuzz/readers.py --mutations 20000 --json docs/results/fuzz.json

Each reader gets mutations of files that it accepts: bytes changed, cut, spliced and inserted, numbers and words of
text replaced; of JSON, TOML and CBOR also values of the parsed tree; a manifest and a packed bundle with the hashes put
right again, so that what lies behind them is reached; of the files of a bundle that a device reads also what the device
makes of them in some seconds of its golden stream. An input must end within 10 s of processor time, take less than
1 GiB, and open no file for writing outside its folder. Readers run in a process of their own; one that dies by a
signal has failed. What fails is kept under ``--failures``. ``.tflite`` has its own: ``tools/fuzz/tflite.py``.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools/fuzz"), str(ROOT / "tests")]

from campaigns import keep  # noqa: E402
from mutations import mutation  # noqa: E402
from targets import REFUSED, TARGETS, Target  # noqa: E402

from edgehar.errors import EdgeharError  # noqa: E402

SECONDS, BYTES = 10, 2**30
BATCH = 250


class TooLong(BaseException):
    """An input took more than ``SECONDS``."""


class Outside(BaseException):
    """A file outside of the folder was opened for writing."""


def run_one(target: Target, data: bytes, folder: Path) -> str:
    """Return "read", or the name of the ``EdgeharError`` that an input ends in. Anything else is raised."""
    path = folder / f"walking.1{target.suffix}"
    path.write_bytes(data)
    try:
        target.read(path)
    except EdgeharError as error:
        return type(error).__name__
    return "read"


def _guard(folder: Path) -> None:
    """From now on no file outside of ``folder`` may be opened for writing, made or moved."""
    allowed = (str(folder), "/dev/", "/proc/")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            mode, flags = arguments[1], arguments[2]
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (
                isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            )
            if not writes:
                return
        elif event not in ("os.mkdir", "os.rename", "os.remove", "os.symlink", "os.link"):
            return
        place = str(Path(os.fsdecode(arguments[0])).absolute())
        if not place.startswith(allowed):
            raise Outside(place)

    sys.addaudithook(hook)


def _batch(name: str, seed: int, count: int, folder: Path, limited: bool) -> None:
    """Run ``count`` mutations in this process, and leave what came of them in ``folder``."""
    target = TARGETS[name]
    seeds = target.seeds()
    for data in seeds:  # all are read; and what is imported on first use is no mutation's fault
        if (said := run_one(target, data, folder)) != "read" and name not in REFUSED:
            raise RuntimeError(f"a seed file of {name} is not read: {said}")
    warnings.simplefilter("error")
    logging.disable()
    if limited:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    tempfile.tempdir = str(folder)  # of libraries
    _guard(folder)

    def alarm(_signal: int, _frame: object) -> None:
        raise TooLong

    signal.signal(signal.SIGPROF, alarm)
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    failures: dict[str, list[int]] = {}
    slowest = 0.0
    done = folder / "done"
    for index in range(count):
        data = mutation(rng, target, seeds)
        (folder / "input").write_bytes(data)
        done.write_text(str(index))
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of processor time: the computer may have other work
        try:
            outcomes[run_one(target, data, folder)] += 1
        except (Exception, TooLong, Outside) as error:  # any of them is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            failures.setdefault(kind, []).append(index)
            if len(failures[kind]) <= 2:
                (folder / f"failure_{index}").write_bytes(data)
                (folder / f"failure_{index}.txt").write_text(traceback.format_exc())
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        slowest = max(slowest, time.process_time() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {
        "outcomes": outcomes,
        "failures": {k: len(v) for k, v in failures.items()},
        "slowest_s": slowest,
        "peak": peak,
    }
    (folder / "result.json").write_text(json.dumps(result))


def fuzz(name: str, mutations: int, seed: int, failures: Path) -> dict[str, Any]:
    """Run mutations of one reader's files, a process a batch; return the counts."""
    outcomes: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    slowest = peak = 0.0
    context = multiprocessing.get_context("spawn")
    limited = name != "parquet"  # pyarrow maps memory for its threads that it never touches
    batch = max(BATCH, mutations // 8)
    for start in range(0, mutations, batch):
        count = min(batch, mutations - start)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            process = context.Process(target=_batch, args=(name, seed * 1_000_003 + start, count, folder, limited))
            process.start()
            process.join()
            if process.exitcode:
                index = (folder / "done").read_text() if (folder / "done").exists() else "before the first"
                failed[f"the process ended with {process.exitcode}"] += 1
                failures.mkdir(parents=True, exist_ok=True)
                if (folder / "input").exists():
                    (failures / f"{name}_{start}_{index}".replace(" ", "_")).write_bytes(
                        (folder / "input").read_bytes()
                    )
                continue
            result = json.loads((folder / "result.json").read_text())
            outcomes.update(result["outcomes"])
            failed.update(result["failures"])
            slowest, peak = max(slowest, result["slowest_s"]), max(peak, result["peak"])
            for path in folder.glob("failure_*"):
                failures.mkdir(parents=True, exist_ok=True)
                (failures / f"{name}_{start}_{path.name}".replace(" ", "_")).write_bytes(path.read_bytes())
    return {
        "mutations": mutations,
        "outcomes": dict(outcomes),
        "failures": dict(failed),
        "slowest_s": round(slowest, 2),
        "peak_mib": round(peak / 2**20),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=500, metavar="N", help="of each reader's files")
    parser.add_argument("--readers", nargs="+", default=list(TARGETS), metavar="NAME", choices=list(TARGETS))
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--failures", type=Path, default=Path("fuzz_failures"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="list of campaigns to add these to")
    args = parser.parse_args()
    failed = False
    for name in args.readers:
        found = fuzz(name, args.mutations, args.seed, args.failures)
        print(name, found, flush=True)
        failed |= bool(found["failures"])
        if args.json:
            command = f"python tools/fuzz/readers.py --mutations {args.mutations} --seed {args.seed} --readers '{name}'"
            keep(args.json, {"command": command, "files": name, **found})
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
