"""Whether generated firmware is the Python device, bit for bit, and memory-safe, on real and on hostile input.

Checks the bundles of the zoo and every architecture of the registry (tiny, untrained), each with firmware made now; of
bundles with an embedding also one that has enrolled a label, from a recording with its axes turned:

1. ``-std=c99 -Wall -Wextra -Werror -pedantic -Wconversion`` by this computer's compiler and by ``zig cc``.
2. Over all held-out recordings and over hostile samples: windows, logits, probabilities, labels and events of the
   firmware are those of the simulated device, whose engine is TFLite Micro.
3. The same stream through a program built with address and undefined-behaviour sanitizers, of kernels with assembly
   the portable twins: no finding, the same bytes.
4. With ``--streaming HOP`` all of that for firmware that computes only the columns which a hop brings; what does not
   stream is named and left out.
5. For the first ``--long`` bundles a stream of ``--samples`` (a day at 50 Hz) without a reset; the device's engine is
   then ``c_native``, which shares the network with the firmware: all around it keeps a state, the network keeps none.

A firmware whose row stands in the JSON file already, with the same sources, is not checked again.

Usage: python tools/firmware_check.py [--bundles zoo:ds_cnn,...] [--models all] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.emulator.cores import CORES
from device_sim.emulator.toolchain import build_image
from device_sim.engines import open_engine
from device_sim.enroll import enroll
from device_sim.firmware import Twins
from device_sim.sources import on_device
from edgehar.bundle import REFERENCES, Bundle, write_bundle, zoo_names
from edgehar.c_compiler import FLAGS, Compiler, find_compiler, linked, zig
from edgehar.c_pipeline import FOLDER, CPipeline, firmware_files
from edgehar.cli.held_out import choose_recordings
from edgehar.cli.networks import integers_of
from edgehar.errors import EdgeharError, UnsupportedOpError, UsageError
from edgehar.files import sha256_bytes, write_json
from edgehar.manifest import Head, Manifest, ModelInput
from edgehar.recording import Recording
from edgehar.references import References, find_references
from edgehar.signal import FrontEnd, sliding_windows
from firmware_export.convert import convert
from firmware_export.graph import Graph
from firmware_export.targets.c import Optimize, write_firmware

F32 = NDArray[np.float32]

STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion")
SANITIZERS = (
    *("-std=c99", "-O2", "-g", "-ffp-contract=off", *STRICT, "-fno-sanitize-recover=all"),
    "-DHAR_PORTABLE",  # the twins of the assembly; without it this computer gets the kernels of cores that have none
    "-fsanitize=address,undefined,float-cast-overflow,float-divide-by-zero,bounds-strict",
)
ENGINE = "tflm"  # its bits are the reference's for every network, those with LSTMs too
CORE = "cortex_m4f"
TINY = "tiny"  # what the names of the registry's rows begin with
DAY = 24 * 60 * 60 * 50
CALIBRATION_WINDOWS = 256
STREAM = Path(__file__).with_name("firmware_stream.c")


@dataclass(frozen=True)
class Making:
    """What the C is made for: kernels, and the hop of firmware that streams; None: whole windows at the bundle's."""

    optimize: Optimize
    streaming: int | None = None

    def __str__(self) -> str:
        """As in the table's column ``kernels for``."""
        return str(self.optimize) + (f", streaming every {self.streaming} samples" if self.streaming else "")


@dataclass
class Row:
    """What was found of one firmware.

    Attributes:
        name: bundle, or model of the registry.
        sha256: of its sources.
        samples, decisions, events: of the held-out and hostile streams.
        differences: from the Python device, in words.
        sanitizers: what they reported, empty for nothing.
        compilers_agree: decisions by clang are those by gcc.
        context_bytes, constant_bytes: as ``har.h`` says.
        flash_bytes: of an image for a Cortex-M4F, -Os, with start-up code; 0 where it was not made.
        long_samples, long_decisions, long_differences: of the long stream, 0 where it was not run.
        seconds: of everything.
    """

    name: str
    sha256: str
    samples: int = 0
    decisions: int = 0
    events: int = 0
    differences: tuple[str, ...] = ()
    sanitizers: str = ""
    compilers_agree: bool = True
    context_bytes: int = 0
    constant_bytes: int = 0
    flash_bytes: int = 0
    long_samples: int = 0
    long_decisions: int = 0
    long_differences: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Nothing was found."""
        return self.compilers_agree and not (self.differences or self.sanitizers or self.long_differences)


def hostile(channels: int, samples: int = 30_000, seed: int = 0) -> F32:
    """Return samples ``[T, channels]`` that no sensor should send.

    Noise, in which stretches of a second or two hold NaN, infinities, the largest and smallest numbers, denormals,
    saturated axes, absurd steps, or float32 of random bits; and single such values everywhere.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (samples, channels)).astype(np.float32)
    largest, tiny = np.finfo(np.float32).max, np.float32(1e-40)
    values = np.array([np.nan, np.inf, -np.inf, largest, -largest, tiny, -tiny, 0.0, -0.0, 1e9, 16, -16], np.float32)
    position = 0
    while position < samples:
        part = x[position : position + int(rng.integers(50, 150))]
        match int(rng.integers(0, 6)):
            case 0:
                part[:] = rng.choice(values)
            case 1:
                part[:] = rng.choice(values, part.shape)
            case 2:
                part[:, int(rng.integers(channels))] = rng.choice(values)
            case 3:
                part[:] = rng.integers(0, 2**32, part.shape, np.uint64).astype(np.uint32).view(np.float32)
            case 4:
                part[:] = (10.0 ** rng.uniform(-12, 12)) * part
        position += len(part)
    return np.where(rng.random(x.shape) < 0.002, rng.choice(values, x.shape), x).astype(np.float32)


def check(bundle: Bundle, row: Row, streams: list[F32], long_samples: int) -> None:
    """Run every check on a bundle that holds firmware, and write down what was found."""
    begin = time.perf_counter()
    compiler, clang = find_compiler(), zig()
    if compiler is None or clang is None:
        raise UsageError("needs a C compiler of this computer, and zig (pip install 'edgehar[firmware]')")
    files, heads = firmware_files(bundle), bundle.manifest.heads
    pipeline = CPipeline(files, compiler, (*FLAGS, *STRICT))
    other = CPipeline(files, Compiler(clang, "zig"), (*FLAGS, *STRICT))
    row.context_bytes, row.constant_bytes = pipeline.sizes["declared_context"], pipeline.sizes["constants"]
    sources = {n: d for n, d in files.items() if n.endswith((".c", ".h")) and n != "example_main.c"}
    if row.name.partition(" ")[0] != TINY:
        row.flash_bytes = build_image(CORES[CORE], sources, ["har_init", "har_push"], optimise=["-Os"]).flash_bytes
    engine = open_engine(ENGINE, bundle)
    twins = Twins(bundle, engine, pipeline)
    for samples in streams:
        twins.push(samples)
        row.samples += twins.samples
        twins.finish()
        expected = pipeline.context(heads).replay(samples)
        by_clang = other.context(heads).replay(samples)
        row.compilers_agree &= expected.decisions.tobytes() == by_clang.decisions.tobytes()
        row.compilers_agree &= expected.events.tobytes() == by_clang.events.tobytes()
    row.decisions, row.events, row.differences = twins.decisions, twins.events, tuple(twins.differences)
    row.sanitizers = sanitized(pipeline, sources, compiler, bundle, streams)
    if long_samples:
        twins = Twins(bundle, open_engine("c_native", bundle), pipeline)
        for samples in day(streams[:-1], long_samples):
            twins.push(samples)
        row.long_samples = twins.samples
        twins.finish()
        row.long_decisions, row.long_differences = twins.decisions, tuple(twins.differences)
    row.seconds = time.perf_counter() - begin


def sanitized(
    pipeline: CPipeline, sources: dict[str, bytes], compiler: Compiler, bundle: Bundle, streams: list[F32]
) -> str:
    """Run every stream through the program with sanitizers; returns the first thing wrong, or nothing."""
    program = linked(compiler, {**sources, STREAM.name: STREAM.read_bytes()}, SANITIZERS, ".sanitized")
    with tempfile.TemporaryDirectory() as folder:
        given, written = Path(folder) / "samples", Path(folder) / "decisions"
        for samples in streams:
            given.write_bytes(np.ascontiguousarray(samples, np.float32).tobytes())
            done = subprocess.run([program, given, written], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                return " ".join(done.stderr.split())[:500] or f"exit code {done.returncode}"
            replayed = pipeline.context(bundle.manifest.heads).replay(samples)
            pairs = zip(replayed.decisions, replayed.events, strict=True)
            if written.read_bytes() != b"".join(part.tobytes() for pair in pairs for part in pair):
                return "decides otherwise than without sanitizers"
    return ""


def day(streams: list[F32], samples: int) -> Iterator[F32]:
    """Yield recordings one after another, again and again, until there were that many samples."""
    while samples > 0:
        for stream in streams:
            if samples > 0:
                yield stream[:samples]
                samples -= len(stream)


def with_firmware(bundle: Bundle, making: Making, folder: Path) -> Bundle:
    """Return a copy of a bundle, its integers written as firmware."""
    manifest, golden = bundle.manifest, bundle.arrays("golden.npz")
    names = ["stream_windows", *(f"stream_windows_{i}" for i in range(1, len(manifest.inputs)))]
    reals = tuple(i.quant.dequantize(golden[name]) for i, name in zip(manifest.inputs, names, strict=True))
    graph = convert(bundle.read("model_i8.onnx"), reals).integers
    files = {"model_i8.tflite": bundle.read("model_i8.tflite")}
    references = find_references(bundle)
    if references is not None:
        files[REFERENCES] = bundle.read(REFERENCES)
    return _written(manifest, graph, files, making, folder, references=references)


def with_label(bundle: Bundle, samples: F32, making: Making, folder: Path) -> Bundle:
    """Return a copy of a bundle with firmware that has enrolled a label: these samples, accelerations negated."""
    manifest = bundle.manifest
    turned = np.where([channel.sensor == "acc" for channel in manifest.channels], -samples, samples)
    recording = Recording("made", "made", manifest.rate_hz, manifest.channels, turned.astype(np.float32), None, ())
    graph = integers_of(bundle)
    references = find_references(bundle)

    def firmware(changed: Manifest) -> Mapping[str, bytes]:
        return _firmware(changed, graph, f"{manifest.name} with a label", making, references)

    out = folder / f"{manifest.name}_enrolled.edgehar"
    return enroll(bundle, [recording], "turned", out, engine=ENGINE, firmware=firmware).bundle


def of_registry(name: str, template: Manifest, windows: F32, making: Making, folder: Path) -> Bundle:
    """Return a bundle of the registry's tiny model, untrained, on a trained bundle's front end.

    Args:
        name: key of ``MODELS``.
        template: whose channels, front end, window and labels it takes over.
        windows: ``[N, T, F]`` of the front end, for calibration and batch norm's statistics.
        making: what the C is made for.
        folder: to write it in.
    """
    import torch

    from edgehar.models import MODELS
    from edgehar.signal import input_tensors
    from firmware_export.ops import is_stateful
    from firmware_export.to_onnx import export_onnx

    entry = MODELS[name]
    front_end: FrontEnd = template.front_end
    inputs = [choice.of(front_end, template.channels, template.window).fitted(windows) for choice in entry.inputs]
    torch.manual_seed(0)
    labels = template.heads[0].labels
    network = entry.build(entry.tiny, [each.shape(template.window) for each in inputs], len(labels))
    tensors = input_tensors(inputs, windows)
    fed = [torch.from_numpy(np.ascontiguousarray(x)) for x in tensors]
    network(*fed)  # moves batch norm's statistics off their start
    network.eval()
    converted = convert(export_onnx(network, [x[:1] for x in fed], inputs=[each.name for each in inputs]), tensors)
    pairs = zip(inputs, converted.input_quants, strict=True)
    manifest = replace(
        template,
        name=name,
        inputs=tuple(ModelInput(**vars(each), quant=quant) for each, quant in pairs),
        heads=(Head("activity", "multiclass", labels, converted.output_quants[0]),),
        model={"name": name, "stateful": is_stateful(converted.integers)},
        files={},
    )
    files = {"model_i8.tflite": converted.files["model_i8.tflite"]}
    return _written(manifest, converted.integers, files, making, folder)


def _written(
    manifest: Manifest,
    graph: Graph,
    files: dict[str, bytes],
    making: Making,
    folder: Path,
    *,
    references: References | None = None,
) -> Bundle:
    if making.streaming:
        manifest = replace(manifest, hop=making.streaming)
    firmware = _firmware(manifest, graph, f"{manifest.name}, made by tools/firmware_check.py", making, references)
    files = {**files, **{FOLDER + name: data for name, data in firmware.items()}}
    return write_bundle(folder / f"{manifest.name}.edgehar", manifest, files)


def _firmware(
    manifest: Manifest, graph: Graph, origin: str, making: Making, references: References | None
) -> Mapping[str, bytes]:
    streaming = making.streaming is not None
    return write_firmware(manifest, graph, origin, making.optimize, references, streaming=streaming).files


def table(found: dict[str, Any]) -> str:
    """Return ``rows`` in Markdown."""
    columns = (
        *("firmware", "kernels for", "decisions", "events", "differences", "sanitizers", "gcc = clang"),
        *("long stream", "context, B", "constants, B", "flash on Cortex-M4F, B"),
    )
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    lines = []
    for row in (Row(**each) for each in found["rows"]):
        name, _, making = row.name.partition(", ")
        flash = f"{row.flash_bytes:,}" if row.flash_bytes else "–"
        long = f"{row.long_samples:,} samples: {len(row.long_differences)} differences" if row.long_samples else "–"
        lines.append(
            f"| {name} | {making} | {row.decisions:,} | {row.events:,} | {len(row.differences)} "
            f"| {row.sanitizers or 'nothing'} | {'yes' if row.compilers_agree else 'NO'} | {long} "
            f"| {row.context_bytes:,} | {row.constant_bytes:,} | {flash} |\n"
        )
    return head + "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = ",".join(f"zoo:{name}" for name in zoo_names())
    parser.add_argument("--bundles", default=every, metavar="B[,B...]")
    parser.add_argument("--models", default="all", metavar="M[,M...]", help="of the registry; all, or nothing")
    parser.add_argument("--optimize", type=Optimize, default=Optimize.SPEED, choices=list(Optimize))
    parser.add_argument("--streaming", type=int, metavar="HOP", help="firmware that streams, at this hop in samples")
    parser.add_argument("--long", type=int, default=1, metavar="N", help="bundles that get the long stream")
    parser.add_argument("--samples", type=int, default=DAY, metavar="N", help="of the long stream")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    known = _read(options.json)
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for bundle, name, streams, long_samples in subjects(options, Path(scratch)):
            row = Row(name, _sha256(bundle))
            before = known.get(name)
            if before is not None and (before.sha256, before.long_samples) == (row.sha256, long_samples):
                row = before
            else:
                check(bundle, row, streams, long_samples)
            rows[name] = row
            print(f"{name}: {'ok' if row.passed else 'FAILED'} {asdict(row)}", flush=True)
            if options.json:
                write_json(options.json, {"engine": ENGINE, "rows": [asdict(r) for r in {**known, **rows}.values()]})
    print(table({"rows": [asdict(row) for row in rows.values()]}))
    return 0 if all(row.passed for row in rows.values()) else 1


def _read(path: Path | None) -> dict[str, Row]:
    if path is None or not path.exists():
        return {}
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["rows"]
    rows = [Row(**{key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}) for row in found]
    return {row.name: row for row in rows}


def _sha256(bundle: Bundle) -> str:
    entries = bundle.manifest.files.items()
    return sha256_bytes(" ".join(e.sha256 for name, e in sorted(entries) if name.startswith(FOLDER)).encode())


def subjects(options: argparse.Namespace, folder: Path) -> Iterator[tuple[Bundle, str, list[F32], int]]:
    """Yield bundles with firmware, names, streams (the last is hostile), and the long stream's length."""
    making = Making(options.optimize, options.streaming)
    bundles = [Bundle.open(name) for name in options.bundles.split(",") if name]
    for index, bundle in enumerate(bundles):
        long_samples = options.samples if index < options.long else 0
        name = bundle.manifest.name
        try:
            made, streams = with_firmware(bundle, making, folder), _streams(bundle)
        except UnsupportedOpError as error:
            print(f"{name}: left out: {error}", flush=True)
            continue
        yield made, f"{name}, {making}", streams, long_samples
        if find_references(bundle) is not None:
            enrolled = with_label(made, streams[0], making, folder)
            yield enrolled, f"{name} with an enrolled label, {making}", streams, 0
    if not options.models:
        return
    from edgehar.datasets import load_dataset
    from edgehar.datasets.splits import select
    from edgehar.models import MODELS

    template = Bundle.open("zoo:ds_cnn")
    data = template.manifest.provenance["data"]
    windows = np.concatenate(
        [
            sliding_windows(template.manifest.front_end.run(r.samples), template.manifest.window, template.manifest.hop)
            for r in select(load_dataset(data["dataset"]), data["train_subjects"])
        ]
    )
    chosen = np.sort(np.random.default_rng(0).permutation(len(windows))[:CALIBRATION_WINDOWS])
    for name in MODELS if options.models == "all" else options.models.split(","):
        try:
            bundle = of_registry(name, template.manifest, windows[chosen], making, folder)
        except UnsupportedOpError as error:
            print(f"{TINY} {name}: left out: {error}", flush=True)
            continue
        yield bundle, f"{TINY} {name}, {making}", _streams(template), 0


def _streams(bundle: Bundle) -> list[F32]:
    recordings, _ = choose_recordings(bundle, [], [])
    manifest = bundle.manifest
    return [*(on_device(r, manifest).samples for r in recordings), hostile(len(manifest.channels))]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgeharError as error:
        print(f"firmware_check: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
