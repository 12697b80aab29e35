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
import copy
import io
import json
import logging
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools/fuzz"), str(ROOT / "tests")]

from campaigns import keep  # noqa: E402

from edgehar.errors import EdgeharError  # noqa: E402
from edgehar.files import sha256_bytes  # noqa: E402

SECONDS, BYTES = 10, 2**30
INTERESTING = (0, 1, 2, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
WORDS = (
    b"nan", b"inf", b"-1", b"0", b"1e308", b"-1e999", b"9" * 400, b"null", b"true", b"[]", b"{}", b'""', b"../../x",
    b"/etc/x", b"\xff\xfe", b"\0", b"\n", b'"', b",", b";", b"\t", b"[" * 200, b"{" * 200, b"0x10", b"1_000", b"1,5",
)  # fmt: skip
VALUES = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf")),
    *("", "x" * 5000, "../x", [], {}, [[]]),
)
BATCH = 250
DEVICE = "ds_cnn_multitask.edgehar"  # several heads, and a filter
DEVICE_SECONDS = 6.0
REFUSED = ("packed bundle", "imported data set")  # their seeds are in order, but what they tell of is not there


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        suffix: of its files.
        seeds: contents that it accepts.
        read: takes the path of a file in an empty folder.
        tree: bytes to a tree of plain data and back; None where a file has none.
    """

    suffix: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    tree: tuple[Callable[[bytes], Any], Callable[[Any], bytes]] | None = None


class TooLong(BaseException):
    """An input took more than ``SECONDS``."""


class Outside(BaseException):
    """A file outside of the folder was opened for writing."""


# Trees.


def _json_tree() -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    return json.loads, lambda tree: json.dumps(tree).encode()


def _manifest_tree() -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    """A manifest whose own hash is put right after each change."""
    from edgehar.bundle import _canonical

    def write(tree: Any) -> bytes:
        tree.pop("manifest_sha256", None)
        return _canonical({**tree, "manifest_sha256": sha256_bytes(_canonical(tree))})

    return json.loads, write


def _cbor_tree() -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    import cbor2

    return cbor2.loads, cbor2.dumps


def _npz_tree() -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    """Members by name; their headers are text in which shapes and types can be changed."""

    def read(data: bytes) -> Any:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name).decode("latin-1") for name in archive.namelist()}

    def write(tree: Any) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, text in tree.items():
                archive.writestr(str(name) or "x", str(text).encode("latin-1", "replace"))
        return buffer.getvalue()

    return read, write


# Readers.


def _read_tables(path: Path) -> object:
    from edgehar.datasets.tabular.importing import ImportSettings, import_files

    return import_files([path], "fuzzed", ImportSettings())


def _csv_seeds() -> list[bytes]:
    from table_files import csv_text, plain_columns, walk

    columns = plain_columns(walk(3.0))
    texts = [csv_text(columns), csv_text(columns, ";", ","), csv_text(columns, "\t", remarks=["# remark", "device,x"])]
    return [text.encode() for text in texts] + [texts[0].encode("utf-16")]


def _parquet_seeds() -> list[bytes]:
    import pandas
    from table_files import plain_columns, walk

    seeds = []
    for compression in ("snappy", None):
        stream = io.BytesIO()
        pandas.DataFrame(plain_columns(walk(2.0))).to_parquet(stream, compression=compression)
        seeds.append(stream.getvalue())
    return seeds


def _npz_seeds() -> list[bytes]:
    from table_files import walk

    t, acc, gyro, labels = walk(2.0)
    seeds = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, time=t, acc=acc, gyro=gyro, label=labels.astype(str))
        seeds.append(stream.getvalue())
    return seeds


def _edge_impulse_seeds() -> list[bytes]:
    from table_files import edge_impulse, walk

    return [json.dumps(edge_impulse(walk(1.0))).encode()]


def _cbor_seeds() -> list[bytes]:
    import cbor2
    from table_files import edge_impulse, walk

    return [cbor2.dumps(edge_impulse(walk(1.0)))]


def _manifest_seeds() -> list[bytes]:
    folder = ROOT / "edgehar" / "zoo"
    return [(folder / name / "manifest.json").read_bytes() for name in ("ds_cnn_3k.edgehar", "siamese.edgehar")]


def _read_manifest(path: Path) -> object:
    from edgehar.bundle import Manifest

    return Manifest.from_bytes(path.read_bytes())


def _device_seeds(name: str) -> Callable[[], list[bytes]]:
    return lambda: [(ROOT / "edgehar" / "zoo" / DEVICE / name).read_bytes()]


def _read_on_device(name: str) -> Callable[[Path], object]:
    """Put the file into a bundle and replay seconds of its golden stream."""

    def read(path: Path) -> object:
        from device_sim.golden import check_golden
        from device_sim.simulate import simulate
        from device_sim.sources import first_seconds, golden_recording
        from edgehar.bundle import MANIFEST, Bundle

        folder = path.parent / DEVICE
        if not folder.exists():
            shutil.copytree(ROOT / "edgehar" / "zoo" / DEVICE, folder)
        data = path.read_bytes()
        if name != MANIFEST:
            tree, write = json.loads((folder / MANIFEST).read_bytes()), _manifest_tree()[1]
            tree["files"][name] = {"bytes": len(data), "sha256": sha256_bytes(data)}
            (folder / MANIFEST).write_bytes(write(tree))
        (folder / name).write_bytes(data)
        bundle = Bundle.open(folder)
        recording = first_seconds(golden_recording(bundle), DEVICE_SECONDS)
        (trace,) = simulate(bundle, [recording], "litert_ref").traces
        return check_golden(bundle, "litert_ref", trace.outputs)

    return read


def _package_seeds() -> list[bytes]:
    from edgehar.bundle import Bundle
    from edgehar.package import packed

    bundle = Bundle.open("zoo:ds_cnn_3k")
    small = {name: data for name, data in bundle.contents().items() if len(data) < 5000 or name == "manifest.json"}
    return [packed(bundle.manifest.name, 1, bundle.sha256, small).to_bytes()]


def _read_package(path: Path) -> object:
    from edgehar.bundle import Bundle

    return Bundle.open(path)


def _golden_seeds() -> list[bytes]:
    return [(ROOT / "edgehar/zoo/ds_cnn_3k.edgehar/golden.npz").read_bytes()]


def _read_arrays(path: Path) -> object:
    from edgehar.arrays import load_npz

    return load_npz(path.read_bytes(), str(path))


def _onnx_seeds() -> list[bytes]:
    return [(ROOT / "edgehar/zoo/ds_cnn_3k.edgehar/model_i8.onnx").read_bytes(), _float_onnx()]


def _float_onnx() -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    shapes = {"w": (6, 3, 4), "b": (6,), "m": (5, 36), "c": (5,)}
    constants = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["h"], strides=[2]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2], strides=[2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "m", "c"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 28])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(data, name) for name, data in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def _read_onnx(path: Path) -> object:
    from firmware_export.onnx_reader import read_onnx

    return read_onnx(path.read_bytes())


def _small_run(folder: Path) -> Path:
    """A run folder with an untrained network."""
    from edgehar.recording import IMU_CHANNELS
    from edgehar.signal import NetworkInput, default_front_end
    from edgehar.training.config import TrainConfig
    from edgehar.training.run_folder import build_network, write_run

    config = TrainConfig(model="cnn1d")
    front_end = default_front_end(IMU_CHANNELS)
    inputs = (NetworkInput("window", tuple(range(front_end.width))),)
    record = {
        "config": config.to_dict(),
        "split": {"train_subjects": ["1"], "validation_subjects": [], "test_subjects": ["2"]},
        "front_end": front_end.to_dict(),
        "inputs": [each.to_dict() for each in inputs],
        "data": {"source": "nobody", "licence": "none", "sha256": "0" * 64},
        "metrics": {"test": {"windows": 100, "accuracy": 0.5, "macro_f1": 0.5}},
        "packages": {"torch": "2"},
        "parameters": 1000,
        "total_stride": 4,
        "training_device": "a processor",
        "training_s": 1.5,
    }
    folder.mkdir(exist_ok=True)
    write_run(folder, build_network(config, inputs), record)
    return folder


def _run_seeds(name: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            return [(_small_run(Path(folder)) / name).read_bytes()]

    return seeds


def _read_run(name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        from edgehar.training.run_folder import open_run

        run = path.parent / "run"
        if not run.exists():
            _small_run(run)
        (run / name).write_bytes(path.read_bytes())
        return open_run(run)

    return read


def _config_seeds() -> list[bytes]:
    names = ("ds_cnn_3k.toml", "hapt_multitask.toml", "hapt_siamese.toml")
    return [(ROOT / "configs" / name).read_bytes() for name in names]


def _read_config(path: Path) -> object:
    from edgehar.training.config import load_config

    return load_config(path)


def _lines_seeds() -> list[bytes]:
    from table_files import csv_text, plain_columns, walk

    columns = plain_columns(walk(2.0))
    return [csv_text(columns).encode(), csv_text({k: columns[k] for k in list(columns)[1:7]}, names=False).encode()]


def _read_lines(path: Path) -> object:
    from device_sim.live.lines import LineReader

    lines = LineReader([f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz"], 50.0)
    data = path.read_bytes()
    return [lines.feed(data[at : at + 997]) for at in range(0, len(data), 997)]


def _described_seeds() -> list[bytes]:
    record = {
        "schema_version": 1, "name": "fuzzed", "title": "made", "label_names": ["a", "b"], "channels": [["acc_x", "g"]],
        "rate_hz": 50.0, "test_subjects": ["1"], "training": {"window": 128}, "sha256": "0" * 64, "licence": "none",
    }  # fmt: skip
    return [json.dumps(record).encode()]


def _read_described(path: Path) -> object:
    from edgehar.datasets.tabular import store

    place = path.parent / "sets" / "fuzzed"
    place.mkdir(parents=True, exist_ok=True)
    (place / store.DESCRIPTION).write_bytes(path.read_bytes())
    os.environ["EDGEHAR_DATASETS"] = str(path.parent / "sets")
    found = store.find("fuzzed")
    return found and found.load()


TARGETS: dict[str, Target] = {
    "csv": Target(".csv", _csv_seeds, _read_tables),
    "parquet": Target(".parquet", _parquet_seeds, _read_tables),
    "npz": Target(".npz", _npz_seeds, _read_tables, _npz_tree()),
    "edge impulse json": Target(".json", _edge_impulse_seeds, _read_tables, _json_tree()),
    "edge impulse cbor": Target(".cbor", _cbor_seeds, _read_tables, _cbor_tree()),
    "imported data set": Target(".json", _described_seeds, _read_described, _json_tree()),
    "manifest": Target(".json", _manifest_seeds, _read_manifest, _manifest_tree()),
    "bundle arrays": Target(".npz", _golden_seeds, _read_arrays, _npz_tree()),
    "manifest on a device": Target(
        ".json", _device_seeds("manifest.json"), _read_on_device("manifest.json"), _manifest_tree()
    ),
    "golden stream on a device": Target(
        ".npz", _device_seeds("golden.npz"), _read_on_device("golden.npz"), _npz_tree()
    ),
    "baseline on a device": Target(
        ".json", _device_seeds("baseline.json"), _read_on_device("baseline.json"), _json_tree()
    ),
    "packed bundle": Target(".edgehar", _package_seeds, _read_package),
    "onnx": Target(".onnx", _onnx_seeds, _read_onnx),
    "run record": Target(".json", _run_seeds("run.json"), _read_run("run.json"), _json_tree()),
    "safetensors": Target(".safetensors", _run_seeds("weights.safetensors"), _read_run("weights.safetensors")),
    "config": Target(".toml", _config_seeds, _read_config),
    "live lines": Target(".txt", _lines_seeds, _read_lines),
}


# Mutations.


def mutated(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Return the input with one to four changes of its bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        kind = rng.random()
        if kind < 0.2 and changed:
            changed[at % len(changed)] ^= 1 << rng.randrange(8)
        elif kind < 0.4:
            changed[at : at + rng.randint(0, 8)] = rng.choice(WORDS)
        elif kind < 0.55:
            changed[at : at + 4] = rng.choice(INTERESTING).to_bytes(4, rng.choice(("little", "big")))
        elif kind < 0.65:
            del changed[at : at + rng.randint(1, 200)]
        elif kind < 0.75:
            del changed[at:]
        elif kind < 0.9:
            start, length = rng.randrange(len(other)), rng.randint(1, 300)
            changed[at : at + rng.choice((0, length))] = other[start : start + length]
        else:
            changed[at:at] = rng.randbytes(rng.randint(1, 16))
    return bytes(changed)


def mutated_tree(rng: random.Random, tree: Any) -> Any:
    """Return plain data with one or two values changed, taken away, or put elsewhere."""
    changed = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2))):
        places = list(_places(changed, 400))
        if not places:
            return rng.choice(VALUES)
        container, key = rng.choice(places)
        kind = rng.random()
        value = container[key]
        if kind < 0.5:
            container[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind < 0.6:
            del container[key]
        elif kind < 0.8:
            other, elsewhere = rng.choice(places)
            container[key] = copy.deepcopy(other[elsewhere]) if elsewhere in _keys(other) else None
        elif isinstance(value, str):
            container[key] = mutated(rng, value.encode("utf-8", "replace"), b"other").decode("latin-1")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            container[key] = value * rng.choice((-1, 2, 1000, 0.5)) + rng.choice((0, 1, -1))
        elif isinstance(value, list):
            container[key] = value * rng.choice((0, 2, 50))
    return changed


def _keys(container: Any) -> Any:
    return container if isinstance(container, dict) else range(len(container))


def _places(tree: Any, most: int) -> Iterator[tuple[Any, Any]]:
    """Every container and key, at most so many of each list."""
    if isinstance(tree, dict):
        items = list(tree.items())
    elif isinstance(tree, list):
        items = list(enumerate(tree))[:most]
    else:
        return
    for key, value in items:
        yield tree, key
        yield from _places(value, 8)


def mutation(rng: random.Random, target: Target, seeds: list[bytes]) -> bytes:
    """Return a new input."""
    data = rng.choice(seeds)
    if target.tree is not None and rng.random() < 0.6:
        read, write = target.tree
        try:
            return write(mutated_tree(rng, read(data)))
        except (ValueError, TypeError, OverflowError, RecursionError, AttributeError):
            pass  # the tree cannot be written any more
    return mutated(rng, data, rng.choice(seeds))


# Running.


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
