"""Mutated ``.tflite`` files through reader, numpy reference and C generator: a graph or an ``ExportError``, soon.

    python tools/fuzz/tflite.py --mutations 100000 --json docs/results/fuzz.json

Every input must end within 10 s and 1 GiB, in a graph that runs and is written as C, or in an error of the
``ExportError`` family. Guided by coverage: an input that takes the reader from one line to another as no other did
joins the corpus. What fails is kept under ``--failures``.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools/fuzz"), str(ROOT / "tests"), str(ROOT / "tests" / "conformance")]

from campaigns import keep  # noqa: E402

from edgehar.errors import ExportError  # noqa: E402
from firmware_export import tflite_reader  # noqa: E402
from firmware_export.passes import LAYOUT_PASSES, run_passes  # noqa: E402
from firmware_export.reference import run  # noqa: E402
from firmware_export.targets.c import write_network  # noqa: E402
from firmware_export.tflite_reader import flatbuffer, read_tflite  # noqa: E402

SECONDS, BYTES = 10, 2**30
INTERESTING = (0, 1, 2, 3, 4, 7, 8, 16, 64, 127, 128, 255, 256, 1024, 2**15, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
LARGEST_INPUT = 64 * 1024  # bytes: larger files only make mutations slower
READER = str(Path(tflite_reader.__file__).parent)

Edges = set[tuple[int, int]]


class TooLong(BaseException):
    """An input took more than ``SECONDS``; no ``except Exception`` on the way may hide it."""


def outcome(data: bytes) -> str:
    """Return "graph" or the name of the ``ExportError`` that an input ends in. Anything else is raised."""
    try:
        graph = run_passes(read_tflite(data), LAYOUT_PASSES)
        rng = np.random.default_rng(0)
        windows = []
        for name in graph.inputs:
            value = graph.values[name]
            x = rng.normal(size=(1, *value.shape[1:])) * (1 if value.dtype == "float32" else 40)
            windows.append(x.clip(-128, 127).astype(value.dtype))
        with np.errstate(all="ignore"):  # mutated weights may be infinite
            run(graph, windows)
        if graph.input_dtype == "int8":
            write_network(graph)
    except ExportError as error:
        return type(error).__name__
    return "graph"


def traced(work: Callable[[], str]) -> tuple[str, Edges]:
    """Return a result and the pairs of lines of the reader that followed each other on the way."""
    edges: Edges = set()
    last = 0

    def line(frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal last
        here = hash((frame.f_code.co_filename, frame.f_lineno))
        edges.add((last, here))
        last = here
        return line

    def call(frame: FrameType, event: str, _arg: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(READER) else None

    sys.settrace(call)
    try:
        return work(), edges
    finally:
        sys.settrace(None)


def interpreted(data: bytes) -> list[tuple[int, int]]:
    """Return (place, bytes) of every number that the reader takes from a file: where a lie would be believed."""
    found: dict[int, int] = {}
    original, vector = flatbuffer._unpack, flatbuffer.Table.vector

    def unpack(given: bytes, kind: str, at: int) -> Any:
        found[at] = struct.calcsize(kind)
        return original(given, kind, at)

    def numbers(table: flatbuffer.Table, field: int, dtype: str) -> Any:
        result = vector(table, field, dtype)
        if result is not None and dtype != "uint8" and result.size <= 64:
            start = result.__array_interface__["data"][0] - np.frombuffer(data, np.uint8).__array_interface__["data"][0]
            found.update((start + i * result.itemsize, result.itemsize) for i in range(result.size))
        return result

    flatbuffer._unpack, flatbuffer.Table.vector = unpack, numbers  # type: ignore[method-assign]
    try:
        read_tflite(data)
    except ExportError:
        pass
    finally:
        flatbuffer._unpack, flatbuffer.Table.vector = original, vector  # type: ignore[method-assign]
    return sorted((at, size) for at, size in found.items() if 0 <= at <= len(data) - size)


def mutated(rng: random.Random, data: bytes, places: list[tuple[int, int]], other: bytes) -> bytes:
    """Return the input with one to four changes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        kind = rng.random()
        if kind < 0.55 and places:  # a number that the reader interprets
            at, size = rng.choice(places)
            if at + size > len(changed):
                continue
            old = int.from_bytes(changed[at : at + size], "little")
            new = rng.choice((rng.choice(INTERESTING), old + rng.randint(-8, 8), old ^ (1 << rng.randrange(8 * size))))
            changed[at : at + size] = (new % 2 ** (8 * size)).to_bytes(size, "little")
        elif kind < 0.7 and len(places) > 1:  # one such number copied over another
            (a, size), (b, _) = rng.sample(places, 2)
            if max(a, b) + size <= len(changed):
                changed[b : b + size] = changed[a : a + size]
        elif kind < 0.8:
            at = rng.randrange(len(changed))
            changed[at] ^= 1 << rng.randrange(8)
        elif kind < 0.87:
            at = rng.randrange(0, max(len(changed) - 4, 1), 4)
            changed[at : at + 4] = rng.choice(INTERESTING).to_bytes(4, "little")
        elif kind < 0.91:
            del changed[rng.randrange(8, len(changed) + 1) :]
        elif kind < 0.96:  # a piece of another file
            length = rng.randint(1, 64)
            start, at = rng.randrange(max(len(other) - length, 1)), rng.randrange(len(changed))
            changed[at : at + length] = other[start : start + length]
        else:
            at = rng.randrange(len(changed))
            changed[at:at] = rng.randbytes(4 * rng.randint(1, 4))
        if len(changed) < 8:
            return bytes(changed)
    return bytes(changed)


def seeds() -> Iterator[bytes]:
    """Yield one file an op, int8 and float, the strangers' networks, and the smallest model of the zoo."""
    from export_cases import CASES, float_graph, int8_graph
    from foreign_networks import NETWORKS

    from firmware_export.targets.tflite import write_tflite

    for cases in CASES.values():
        yield write_tflite(int8_graph(cases[0], 1), {})
        yield write_tflite(float_graph(cases[0], 1), {})
    for network in NETWORKS.values():
        yield network(small=True)
    yield (ROOT / "edgehar/zoo/ds_cnn_3k.edgehar/model_i8.tflite").read_bytes()


class Fuzzer:
    """The corpus, what it covers, and how inputs ended."""

    def __init__(self, seed: int, *, guided: bool = True) -> None:
        self.rng = random.Random(seed)
        self.guided = guided
        self.corpus: list[tuple[bytes, list[tuple[int, int]]]] = []
        self.edges: Edges = set()
        self.outcomes: Counter[str] = Counter()
        self.slowest_s = 0.0

    def feed(self, data: bytes) -> str:
        """Run one input; keep it where it went new ways."""
        start = time.perf_counter()
        result, edges = traced(lambda: outcome(data)) if self.guided else (outcome(data), set())
        self.slowest_s = max(self.slowest_s, time.perf_counter() - start)
        if not edges <= self.edges or not self.guided:
            self.edges |= edges
            if len(data) <= LARGEST_INPUT:
                self.corpus.append((data, interpreted(data)))
        self.outcomes[result] += 1
        return result

    def mutation(self) -> bytes:
        """Return a new input."""
        data, places = self.rng.choice(self.corpus)
        return mutated(self.rng, data, places, self.rng.choice(self.corpus)[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--failures", type=Path, default=Path("fuzz_failures"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="list of campaigns to add this one to")
    args = parser.parse_args()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    fuzzer = Fuzzer(args.seed)
    for data in seeds():
        fuzzer.feed(data)
    initial = len(fuzzer.corpus)
    fuzzer.outcomes.clear()
    _limit_memory()

    def alarm(_signal: int, _frame: object) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, alarm)
    failures: Counter[str] = Counter()
    begin = time.perf_counter()
    for count in range(1, args.mutations + 1):
        data = fuzzer.mutation()
        signal.alarm(SECONDS)
        try:
            fuzzer.feed(data)
        except (Exception, TooLong) as error:  # any of them is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            failures[kind] += 1
            if failures[kind] <= 3:
                args.failures.mkdir(parents=True, exist_ok=True)
                name = "".join(c if c.isalnum() else "_" for c in kind)
                (args.failures / f"{name}_{failures[kind]}.tflite").write_bytes(data)
        finally:
            signal.alarm(0)
        if count % 5000 == 0:
            rate = count / (time.perf_counter() - begin)
            print(f"{count} mutations, {rate:.0f}/s, corpus {len(fuzzer.corpus)}, {dict(failures)}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {
        "command": f"python tools/fuzz/tflite.py --mutations {args.mutations} --seed {args.seed}",
        "files": f"`.tflite`, {initial} kinds",
        "mutations": args.mutations,
        "seed_files": initial,
        "corpus": len(fuzzer.corpus),
        "edges": len(fuzzer.edges),
        "outcomes": dict(fuzzer.outcomes),
        "failures": dict(failures),
        "slowest_s": round(fuzzer.slowest_s, 2),
        "peak_mib": round(peak / 2**20),
        "peak_mib_before": round(used / 2**20),
        "seconds": round(time.perf_counter() - begin),
    }
    for key, value in result.items():
        print(f"{key:16}{value}")
    if args.json:
        keep(args.json, result)
    return 1 if failures else 0


def _limit_memory() -> None:
    """Allow ``BYTES`` beyond what the process has mapped so far."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(main())
