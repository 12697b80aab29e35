"""The network of a firmware as WebAssembly and as native code, in one process: microseconds a window, and ratios.

    pip install 'edgehar[all]'
    python tools/bench/wasm.py [--models FOLDER] [--json FILE] [BUNDLE|MODEL.tflite ...]

Same sources, the kernels for speed, and as many windows inside of one call as take two milliseconds, so that calling
from Python does not count. The ways take turns, and the fastest turn of each is what is reported: whatever else the
computer does only makes a turn longer.
``--models`` or EDGEHAR_BENCH_MODELS: a folder with ``A_i8.tflite``, ``B``, ``C``, not in the repository.
"""

import argparse
import ctypes
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import wasmtime

from device_sim.emulator.profile import STEP, NetworkSources, main_source
from edgehar.bundle import zoo_names
from edgehar.c_compiler import FLAGS, Compiler, compiler_version, find_compiler, shared_library, zig
from edgehar.c_wasm import wasm_module
from edgehar.cli.networks import network_of
from edgehar.files import write_json

REPEAT = f"\nvoid bench_repeat(int count)\n{{\n    while (count-- > 0) {{\n        {STEP}();\n    }}\n}}\n".encode()
TURNS, TURN_S = 1000, 0.002
WAYS = {
    "wasm_simd128": "WebAssembly, SIMD128",
    "wasm_scalar": "WebAssembly without",
    "native_clang": "native, clang",
    "native_cc": "native, cc",
    "native_portable": "native, cc, portable C",
}

Repeat = Callable[[int], object]


def wasm(files: Mapping[str, bytes], *, simd: bool) -> Repeat:
    code = wasm_module(files, ["bench_repeat"], simd=simd, what="this benchmark").read_bytes()
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, code), []).exports(store)
    repeat: Any = exports["bench_repeat"]
    return lambda count: repeat(store, count)


def native(files: Mapping[str, bytes], compiler: Compiler, *flags: str) -> Repeat:
    repeat: Repeat = ctypes.CDLL(str(shared_library(compiler, files, (*FLAGS, *flags)))).bench_repeat
    return repeat


def microseconds(network: NetworkSources) -> dict[str, float]:
    """Return the time a window of each of ``WAYS``."""
    files = {**network.files, "image_main.c": main_source(network) + REPEAT}
    command, cc = zig(), find_compiler()
    assert command is not None
    assert cc is not None
    ways = {
        "wasm_simd128": wasm(files, simd=True),
        "wasm_scalar": wasm(files, simd=False),
        "native_clang": native(files, Compiler(command, compiler_version(command) or "")),
        "native_cc": native(files, cc),
        "native_portable": native(files, cc, "-DHAR_PORTABLE"),
    }
    counts = {name: max(1, round(TURN_S / seconds(way, 20) * 20)) for name, way in ways.items()}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(TURNS):
        for name, way in ways.items():
            best[name] = min(best[name], 1e6 * seconds(way, counts[name]) / counts[name])
    return best


def seconds(way: Repeat, count: int) -> float:
    start = time.perf_counter()
    way(count)
    return time.perf_counter() - start


def table(found: dict[str, Any]) -> str:
    """Return the rows in Markdown."""
    lines = ["| model | MAC | " + " | ".join(f"{label}, µs" for label in WAYS.values()) + " | SIMD128 faster |"]
    lines += ["|---" * (len(WAYS) + 3) + "|"]
    for row in found["rows"]:
        times = row["microseconds"]
        cells = [f"{times[name]:.1f}" for name in WAYS]
        ratio = f"{times['wasm_scalar'] / times['wasm_simd128']:.1f} ×"
        lines.append(f"| `{row['model']}` | {row['macs']:,} | {' | '.join([*cells, ratio])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="BUNDLE|MODEL.tflite")
    parser.add_argument("--models", type=Path, default=os.environ.get("EDGEHAR_BENCH_MODELS"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    folder = Path(args.models) if args.models else None
    names = args.names or [f"zoo:{name}" for name in zoo_names()]
    names += [str(folder / f"{letter}_i8.tflite") for letter in "ABC"] if folder else []
    rows = []
    for name in names:
        sources = network_of(name, 1, "speed").sources
        model = Path(name).name if name.endswith(".tflite") else name
        rows.append(
            {"model": model, "macs": sum(layer.macs for layer in sources.layers), "microseconds": microseconds(sources)}
        )
    found = {"processor": platform.machine(), "rows": rows}
    print(table(found))
    if args.json:
        write_json(args.json, found)


if __name__ == "__main__":
    main()
