"""What ``readers.py`` mutates: of each reader the files that it accepts, and how to read one."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.files import sha256_bytes

ROOT = Path(__file__).parents[2]
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


# Trees.


def _json_tree() -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    return json.loads, lambda tree: json.dumps(tree).encode()


def _manifest_tree() -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    """A manifest whose own hash is put right after each change."""
    from edgehar.manifest import _canonical

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
    from edgehar.manifest import Manifest

    return Manifest.from_bytes(path.read_bytes())


def _device_seeds(name: str) -> Callable[[], list[bytes]]:
    return lambda: [(ROOT / "edgehar" / "zoo" / DEVICE / name).read_bytes()]


def _read_on_device(name: str) -> Callable[[Path], object]:
    """Put the file into a bundle and replay seconds of its golden stream."""

    def read(path: Path) -> object:
        from device_sim.golden import check_golden
        from device_sim.simulate import simulate
        from device_sim.sources import first_seconds, golden_recording
        from edgehar.bundle import Bundle
        from edgehar.package import MANIFEST

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
