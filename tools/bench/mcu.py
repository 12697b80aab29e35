"""Emulated microcontrollers in figures: the zoo on every board, and what others publish beside what we model.

    pip install 'edgehar[all]'
    python tools/bench/mcu.py [--models FOLDER] [--compilers zig,gcc] [--json FILE]

Five tables. The zoo's networks on every board. The network of MLPerf Tiny's keyword spotting with random weights,
modelled on NUCLEO-L4R5ZI, beside published measurements of that network on that board. Three int8 models
(``A_i8.tflite``, ``B``, ``C`` with ``_io.npz``; ``--models`` or EDGEHAR_BENCH_MODELS, not in the repository) on
Cortex-M4F, beside TFLite Micro with CMSIS-NN on the same emulated core. These and zoo:ds_cnn built by each of
``--compilers`` (gcc is arm-none-eabi-gcc). These and the zoo on Cortex-M55 (needs QEMU).
"""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from device_sim.emulator import CORES, NetworkSources, profile_network
from device_sim.emulator.boards import BOARDS
from device_sim.emulator.qemu import count_on_qemu
from edgehar.bundle import Bundle, zoo_names
from edgehar.cli.networks import cost_on, network_of_bundle, network_of_file
from edgehar.files import write_json
from firmware_export.graph import Graph, Node, Quantization, Value, assemble
from firmware_export.ops.average_pool2d import AveragePool2d
from firmware_export.ops.conv2d import Conv2d
from firmware_export.ops.dense import Dense
from firmware_export.ops.depthwise_conv2d import DepthwiseConv2d
from firmware_export.ops.op import FusedActivation
from firmware_export.ops.reshape import Reshape
from firmware_export.reference import run
from firmware_export.targets.c import Optimize, write_network

RELU = FusedActivation.RELU
MEMORY = ("flash B", "RAM B", "stack B")
# MLPerf Tiny results, keyword spotting on NUCLEO-L4R5ZI (Cortex-M4 at 120 MHz), inferences a second
PUBLISHED_KWS = {"microTVM": 6.9, "X-CUBE-AI 7.3, 8.0": 13.6, "Plumerai": 20.9, "X-CUBE-AI 9, 10.2": 23.0}
# TFLite Micro with CMSIS-NN, gcc -O3, on an emulated Cortex-M4F, counted the same way: instructions, modelled cycles
# (there with two cycles for MLA, of which these kernels have few), flash with the model, arena and other RAM, stack
TFLM_CMSIS_NN = {
    "A": (383_251, 487_976, 57_000, 3_756, 796),
    "B": (913_194, 1_151_762, 88_000, 9_316, 868),
    "C": (8_124_062, 9_863_857, 108_900, 20_528, 796),
}
# The same with CMSIS-NN's kernels for MVE, on QEMU's Cortex-M55: instructions
TFLM_CMSIS_NN_MVE = {"A": 100_594, "B": 287_062, "C": 1_393_531}


def zoo() -> list[dict[str, Any]]:
    rows = []
    for name in zoo_names():
        network = network_of_bundle(Bundle.open(f"zoo:{name}"), 8)
        if network.pipeline is None:
            continue  # its network alone has a form in C
        for board in BOARDS.values():
            cost = cost_on(network, board, "zig")
            cost.pop("layers")
            rows.append({"bundle": f"zoo:{name}", **cost})
    return rows


def kws_graph() -> Graph:
    """MLPerf Tiny's DS-CNN: 49 x 10 features, a 10 x 4 convolution, four separable ones of 64 channels, 12 words."""
    rng = np.random.default_rng(0)
    act = Quantization((2.0**-4,), -128)
    values = [Value("x", (1, 49, 10, 1), "int8", Quantization((2.0**-3,), 3))]
    nodes: list[Node] = []

    def layer(op: str, attrs: Any, weight: tuple[int, ...], out: tuple[int, ...], axis: int = 0) -> None:
        name, x = f"n{len(nodes)}", values[0].name if not nodes else nodes[-1].output
        products = int(np.prod(weight)) // weight[axis]
        data = rng.integers(-127, 128, weight).astype(np.int8)
        scales = tuple(float(np.float32(0.02 / np.sqrt(products))) for _ in range(weight[axis]))
        of_input = values[0].quantization.scale if not nodes else act.scale
        bias = Quantization(tuple(s * of_input for s in scales), 0, 0)
        values.append(Value(f"{name}_w", weight, "int8", Quantization(scales, 0, axis), data))
        values.append(Value(f"{name}_b", (weight[axis],), "int32", bias, np.zeros(weight[axis], np.int32)))
        values.append(Value(f"{name}_y", (1, *out), "int8", act))
        nodes.append(Node(op, name, (x, f"{name}_w", f"{name}_b"), (f"{name}_y",), attrs))

    def plain(op: str, attrs: Any, out: tuple[int, ...]) -> None:
        name = f"n{len(nodes)}"
        values.append(Value(f"{name}_y", (1, *out), "int8", act))
        nodes.append(Node(op, name, (nodes[-1].output,), (f"{name}_y",), attrs))

    first = Conv2d(RELU, (10, 4), (2, 2), padding=((4, 5), (1, 1)))
    layer("conv2d", first, (64, 10, 4, 1), (25, 5, 64))
    for _ in range(4):
        layer("depthwise_conv2d", DepthwiseConv2d(RELU, (3, 3), padding=((1, 1), (1, 1))), (3, 3, 64), (25, 5, 64), 2)
        layer("conv2d", Conv2d(RELU), (64, 1, 1, 64), (25, 5, 64))
    plain("average_pool2d", AveragePool2d((25, 5), (25, 5)), (1, 1, 64))
    plain("reshape", Reshape((1, 64)), (64,))
    layer("dense", Dense(), (12, 64), (12,))
    return assemble(["x"], [nodes[-1].output], nodes, values)


def kws() -> dict[str, Any]:
    graph = kws_graph()
    windows = np.random.default_rng(1).integers(-128, 128, (2, 49, 10, 1)).astype(np.int8)
    board = BOARDS["nucleo_l4r5zi"]
    profile = profile_network(write_network(graph, optimize=Optimize.SPEED), windows, CORES[board.core])
    return {
        "macs": profile.macs,
        "instructions": profile.instructions,
        "cycles": profile.cycles,
        "inferences_per_s": 1000 / board.latency_ms(profile.cycles),
        "published_inferences_per_s": PUBLISHED_KWS,
        "bit_exact": bool(np.array_equal(profile.outputs[0], run(graph, windows)[0])),
    }


def models(folder: Path) -> list[dict[str, Any]]:
    rows = []
    keys = ("instructions", "cycles", "flash_bytes", "ram_bytes", "stack_bytes")
    for name, theirs in TFLM_CMSIS_NN.items():
        io = np.load(folder / f"{name}_io.npz")
        windows, expected = io["x_int8"][:, 0], io["y_int8_reference"][:, 0]
        for optimize in ("speed", "balanced", "size"):
            network = network_of_file(folder / f"{name}_i8.tflite", 1, optimize)
            flags = ("-Os",) if optimize == "size" else ()
            profile = profile_network(network.sources, windows, CORES["cortex_m4f"], optimise=flags)
            rows.append(
                {
                    "model": name,
                    "optimize": optimize,
                    "macs": profile.macs,
                    **{key: getattr(profile, key) for key in keys},
                    "bit_exact": bool(np.array_equal(profile.outputs[0], expected)),
                    "layers": [vars(layer) for layer in profile.layers],
                }
            )
        rows[-1]["tflm_cmsis_nn"] = dict(zip(keys, theirs, strict=True))
    return rows


def by_compiler(folder: Path | None, compilers: list[str]) -> list[dict[str, Any]]:
    """Return what the same sources cost when each compiler has built them, in the order of ``compilers``."""
    rows = []
    for name in [*(TFLM_CMSIS_NN if folder else ()), "zoo:ds_cnn"]:
        for optimize in ("speed", "balanced"):
            if folder and name in TFLM_CMSIS_NN:
                network = network_of_file(folder / f"{name}_i8.tflite", 2, optimize)
            else:
                network = network_of_bundle(Bundle.open(name), 2, optimize)
            found = {
                compiler: profile_network(network.sources, network.windows, CORES["cortex_m4f"], compiler)
                for compiler in compilers
            }
            rows.append(
                {
                    "model": name,
                    "optimize": optimize,
                    "bit_exact": all(network.is_exact(profile.outputs) for profile in found.values()),
                    **{
                        key: {compiler: getattr(profile, key) for compiler, profile in found.items()}
                        for key in ("instructions", "cycles", "flash_bytes")
                    },
                }
            )
    return rows


def m55(folder: Path | None) -> list[dict[str, Any]]:
    """Return instructions on QEMU's Cortex-M55, which has no notion of cycles, of kernels with and without MVE."""
    rows = []
    for name in [*(TFLM_CMSIS_NN_MVE if folder else ()), *(f"zoo:{name}" for name in zoo_names())]:
        for optimize in ("mve", "speed"):
            if folder and name in TFLM_CMSIS_NN_MVE:
                network = network_of_file(folder / f"{name}_i8.tflite", 1, optimize)
                io = np.load(folder / f"{name}_io.npz")
                windows, expected = io["x_int8"][:, 0], io["y_int8_reference"][:, 0]
                network = replace(network, windows=(windows,), expected=(expected,))
            else:
                network = network_of_bundle(Bundle.open(name), 8, optimize)
            count = count_on_qemu(network.sources, network.windows, "cortex_m55")
            rows.append(
                {
                    "model": name,
                    "optimize": optimize,
                    "macs": sum(layer.macs for layer in network.sources.layers),
                    "instructions": round(count.instructions),
                    "constant_bytes": weight_bytes(network.sources),
                    "bit_exact": network.is_exact(count.outputs),
                }
            )
        if name in TFLM_CMSIS_NN_MVE:
            rows[-1]["tflm_cmsis_nn_mve"] = TFLM_CMSIS_NN_MVE[name]
    return rows


def weight_bytes(sources: NetworkSources) -> int:
    """Return what the network's header says of its constants."""
    found = re.search(rb"_WEIGHT_BYTES (\d+)", sources.files[f"{sources.name}.h"])
    assert found is not None
    return int(found[1])


def zoo_table(found: dict[str, Any]) -> str:
    """Return the zoo on every board in Markdown."""
    columns = ("bundle", "board", "network ms", "front end ms", "latency ms", "µJ", "duty cycle", *MEMORY)
    lines = []
    for row in found["zoo"]:
        whole = row["pipeline"]
        share = {stage["name"]: stage["cycles"] / whole["cycles"] for stage in whole["stages"]}
        milliseconds = [whole["latency_ms"] * share["network"], whole["latency_ms"] * share["front_end"]]
        mark = "" if row["current"]["verified"] else " (?)"
        times = [f"{value:.2f}" for value in (*milliseconds, whole["deciding_push_ms"])]
        energy, busy = f"{whole['energy_uj']:.0f}{mark}", f"{whole['duty_cycle']:.2%}"
        lines.append([f"`{row['bundle']}`", f"`{row['board']}`", *times, energy, busy, *memory(whole)])
    return markdown(columns, lines)


def kws_table(found: dict[str, Any]) -> str:
    """Return keyword spotting, modelled beside published, in Markdown, the slowest first."""
    words = found["kws"]
    speeds = {"edgehar, modelled": words["inferences_per_s"], **words["published_inferences_per_s"]}
    lines = [
        [name, f"{speed:.1f}", f"{120e6 / speed / words['macs']:.2f}"]
        for name, speed in sorted(speeds.items(), key=lambda item: item[1])
    ]
    return markdown(("keyword spotting on NUCLEO-L4R5ZI", "inferences/s", "cycles/MAC"), lines)


def models_table(found: dict[str, Any]) -> str:
    """Return the three models beside TFLite Micro with CMSIS-NN in Markdown."""
    lines = []
    for row in found["models"]:
        entries = [(f"edgehar, {row['optimize']}", row, row["bit_exact"])]
        if "tflm_cmsis_nn" in row:
            entries.append(("TFLM + CMSIS-NN", row["tflm_cmsis_nn"], True))
        for who, figures, exact in entries:
            counts = [f"{figures['instructions']:,}", f"{figures['instructions'] / row['macs']:.2f}"]
            counts += [f"{figures['cycles']:,}", *memory(figures)]
            lines.append([f"{row['model']}, {row['macs']:,} MAC", who, *counts, yes(exact)])
    return markdown(("model", "", "instructions", "per MAC", "modelled cycles", *MEMORY, "bit exact"), lines)


def compilers_table(found: dict[str, Any]) -> str:
    """Return the costs of the same sources by compiler in Markdown."""
    names = list(found["compilers"][0]["instructions"])
    counts = [f"{what}, {name}" for what in ("instructions", "modelled cycles", "flash B") for name in names]
    lines = []
    for row in found["compilers"]:
        figures = [f"{row[key][name]:,}" for key in ("instructions", "cycles", "flash_bytes") for name in names]
        apart = max(row["instructions"].values()) / min(row["instructions"].values())
        lines.append([row["model"], row["optimize"], *figures, f"{apart:.3f}", yes(row["bit_exact"])])
    return markdown(("model", "", *counts, "most over least instructions", "bit exact"), lines)


def m55_table(found: dict[str, Any]) -> str:
    """Return the instructions on Cortex-M55 in Markdown."""
    lines = []
    for row in found["m55"]:
        entries = [(f"edgehar, {row['optimize']}", row["instructions"], f"{row['constant_bytes']:,}", row["bit_exact"])]
        if "tflm_cmsis_nn_mve" in row:
            entries.append(("TFLM + CMSIS-NN, MVE", row["tflm_cmsis_nn_mve"], "", True))
        for who, count, constants, exact in entries:
            label = f"{row['model']}, {row['macs']:,} MAC"
            lines.append([label, who, f"{count:,}", f"{count / row['macs']:.3f}", constants, yes(exact)])
    return markdown(("model", "", "instructions", "per MAC", "constants B", "bit exact"), lines)


def memory(figures: dict[str, Any]) -> list[str]:
    """Return the cells of the columns ``MEMORY``."""
    return [f"{figures['flash_bytes']:,}", f"{figures['ram_bytes']:,}", str(figures["stack_bytes"])]


def yes(exact: bool) -> str:
    return "yes" if exact else "NO"


def markdown(columns: Sequence[str], lines: list[list[str]]) -> str:
    head, *rows = (f"| {' | '.join(row)} |\n" for row in (columns, *lines))
    return "".join([head, f"|{'---|' * len(columns)}\n", *rows])


TABLES = {
    "zoo": zoo_table, "kws": kws_table, "models": models_table, "compilers": compilers_table, "m55": m55_table,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=os.environ.get("EDGEHAR_BENCH_MODELS"), metavar="FOLDER")
    parser.add_argument("--compilers", default="zig", metavar="NAMES", help="comma separated: zig, gcc (default: zig)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    folder = Path(args.models) if args.models else None
    compilers = args.compilers.split(",")
    found = {
        "zoo": zoo(),
        "kws": kws(),
        "models": models(folder) if folder else [],
        "compilers": by_compiler(folder, compilers) if len(compilers) > 1 else [],
        "m55": m55(folder),
    }
    if args.json:
        write_json(args.json, found)
    for name, table in TABLES.items():
        if found[name]:
            print(table(found))


if __name__ == "__main__":
    main()
