"""Random valid int8 graphs through the C generator: what the C computes is what the numpy reference does, to the bit.

    python tools/fuzz/graphs.py --graphs 2000 --json docs/results/fuzz.json

A graph is some inputs and a few ops one after another or beside each other, of any shape, stride, padding, dilation,
scale and zero point, with outputs at its end and in the middle. A batch of them is written with each kind of kernels
and built as one program with address and undefined-behaviour sanitizers, in which every buffer has a block of memory
of exactly its size and the working memory is full of rubbish before each run; those with assembly run on an emulated
Cortex-M4F besides. ``--seed`` and ``--first`` make a batch again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools/fuzz"), str(ROOT / "tests"), str(ROOT / "tests" / "conformance")]

from campaigns import keep  # noqa: E402
from export_cases import (  # noqa: E402
    Case,
    conv,
    conv2d,
    depthwise,
    depthwise2d,
    forest,
    int8_graph,
    lstm,
    side_by_side,
)

from device_sim.emulator import CORES, profile_network  # noqa: E402
from edgehar.c_compiler import Compiler, find_compiler, linked  # noqa: E402
from edgehar.errors import EdgeharError, ExportError, UsageError  # noqa: E402
from firmware_export.graph import Graph, Node, Quantization, Value, assemble  # noqa: E402
from firmware_export.ops.add import Add  # noqa: E402
from firmware_export.ops.add_constant import AddConstant  # noqa: E402
from firmware_export.ops.average_pool1d import AveragePool1d  # noqa: E402
from firmware_export.ops.average_pool2d import AveragePool2d  # noqa: E402
from firmware_export.ops.batch_matmul import BatchMatmul  # noqa: E402
from firmware_export.ops.concat import Concat  # noqa: E402
from firmware_export.ops.crop1d import Crop1d  # noqa: E402
from firmware_export.ops.dense import Dense  # noqa: E402
from firmware_export.ops.l2_norm import L2Norm  # noqa: E402
from firmware_export.ops.max_pool1d import MaxPool1d  # noqa: E402
from firmware_export.ops.max_pool2d import MaxPool2d  # noqa: E402
from firmware_export.ops.mean import Mean  # noqa: E402
from firmware_export.ops.op import FusedActivation  # noqa: E402
from firmware_export.ops.relu import Relu  # noqa: E402
from firmware_export.ops.requantize import Requantize  # noqa: E402
from firmware_export.ops.reshape import Reshape  # noqa: E402
from firmware_export.ops.reverse import Reverse  # noqa: E402
from firmware_export.ops.softmax import Softmax  # noqa: E402
from firmware_export.ops.transpose import Transpose  # noqa: E402
from firmware_export.reference import run  # noqa: E402
from firmware_export.targets.c import EMITTERS, Optimize, write_network  # noqa: E402

I8 = NDArray[np.int8]
Sampler = Callable[["Draw", Value, list[Value]], tuple[Case, list[Value]] | None]

BATCH = 16  # graphs a program
WINDOWS = 3  # through each
MOST_OPS = 5
MOST_NUMBERS = 3000  # of an activation
RUBBISH = (0x5A, 0xA5)
SANITIZERS = (
    *("-std=c99", "-O1", "-g", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"),
    *("-fno-sanitize-recover=all", "-fsanitize=address,undefined,bounds-strict"),
)
WAYS: Mapping[str, tuple[Optimize, tuple[str, ...]]] = {
    "size": (Optimize.SIZE, ()),
    "balanced, in pairs": (Optimize.BALANCED, ("-DHAR_PORTABLE",)),  # the twins of the assembly
    "speed, in pairs": (Optimize.SPEED, ("-DHAR_PORTABLE",)),
    "speed, other cores": (Optimize.SPEED, ()),
    "mve": (Optimize.MVE, ()),
}
CORE = "cortex_m4f"


class Draw:
    """Random numbers with the ends included."""

    def __init__(self, seed: Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)

    def number(self, low: int, high: int) -> int:
        """One of ``low..high``."""
        return int(self.rng.integers(low, high + 1))

    def one(self, choices: Sequence[Any]) -> Any:
        """One of some things."""
        return choices[self.number(0, len(choices) - 1)]

    def activation(self) -> FusedActivation:
        """A clamp."""
        return FusedActivation(self.one(list(FusedActivation)))

    def span(self, length: int, dilated: bool = True) -> tuple[int, int, int, tuple[int, int]]:
        """Kernel, stride, dilation and padding that fit an axis."""
        padding = (self.number(0, 4), self.number(0, 4)) if self.number(0, 1) else (0, 0)
        kernel = self.number(1, min(12, length + sum(padding)))
        most = (length + sum(padding) - 1) // (kernel - 1) if kernel > 1 else 1
        dilation = self.number(1, min(4, most)) if dilated and self.number(0, 2) == 0 else 1
        return kernel, self.number(1, 4), dilation, padding


def _convolution1d(draw: Draw, x: Value, _others: list[Value]) -> tuple[Case, list[Value]] | None:
    if len(x.shape) != 3:
        return None
    _, steps, channels = x.shape
    kernel, stride, dilation, padding = draw.span(steps)
    settings = {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding}
    settings["activation"] = draw.activation()
    match draw.number(0, 2):
        case 0:
            return depthwise(x.shape, multiplier=draw.one([1, 1, 2, 3]), **settings), [x]
        case 1:
            groups = draw.one([g for g in (1, 2, 3) if channels % g == 0])
            return conv(x.shape, groups * draw.number(1, 6), groups=groups, **settings), [x]
        case _:
            return conv(x.shape, draw.number(1, 20), activation=draw.activation()), [x]


def _series(draw: Draw, x: Value, _others: list[Value]) -> tuple[Case, list[Value]] | None:
    if len(x.shape) != 3:
        return None
    kernel = draw.number(1, x.shape[1])
    match draw.number(0, 2):
        case 0:
            return lstm(x.shape, draw.number(1, 12)), [x]
        case 1:
            return Case("average_pool1d", AveragePool1d(kernel, draw.number(1, 4)), (x.shape,)), [x]
        case _:
            around = (draw.number(0, kernel - 1), draw.number(0, kernel - 1)) if draw.number(0, 1) else (0, 0)
            return Case("max_pool1d", MaxPool1d(kernel, draw.number(1, 5), around), (x.shape,)), [x]


def _time(draw: Draw, x: Value, _others: list[Value]) -> tuple[Case, list[Value]] | None:
    if len(x.shape) != 3:
        return None
    steps = x.shape[1]
    match draw.number(0, 2):
        case 0:
            start = draw.number(0, steps - 1)
            return Case("crop1d", Crop1d(start, draw.number(1, steps - start)), (x.shape,)), [x]
        case 1:
            return Case("reverse", Reverse(), (x.shape,)), [x]
        case _:
            return Case("transpose", Transpose((0, 2, 1)), (x.shape,)), [x]


def _convolution2d(draw: Draw, x: Value, _others: list[Value]) -> tuple[Case, list[Value]] | None:
    if len(x.shape) != 4:
        return None
    axes = [draw.span(length) for length in x.shape[1:3]]
    kernel, stride, dilation, padding = (tuple(axis) for axis in zip(*axes, strict=True))
    settings = {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding}
    settings["activation"] = draw.activation()
    match draw.number(0, 2):
        case 0:
            return depthwise2d(x.shape, multiplier=draw.one([1, 1, 1, 2]), **settings), [x]
        case 1:
            return conv2d(x.shape, draw.number(1, 9), **settings), [x]
        case _:
            return conv2d(x.shape, draw.number(1, 20), activation=draw.activation()), [x]


def _image(draw: Draw, x: Value, _others: list[Value]) -> tuple[Case, list[Value]] | None:
    if len(x.shape) != 4:
        return None
    sides = (draw.number(1, x.shape[1]), draw.number(1, x.shape[2]))
    steps = (draw.number(1, 3), draw.number(1, 3))
    match draw.number(0, 2):
        case 0:
            return Case("average_pool2d", AveragePool2d(sides, steps), (x.shape,)), [x]
        case 1:
            around = tuple((draw.number(0, k - 1), draw.number(0, k - 1)) for k in sides)
            return Case("max_pool2d", MaxPool2d(sides, steps, (around[0], around[1])), (x.shape,)), [x]
        case _:
            order = draw.one([(0, 2, 1, 3), (0, 3, 1, 2), (0, 1, 3, 2)])
            return Case("transpose", Transpose(order), (x.shape,)), [x]


def _rows(draw: Draw, x: Value, _others: list[Value]) -> tuple[Case, list[Value]] | None:
    if len(x.shape) != 2:
        return None
    if draw.number(0, 3) == 0:
        case = forest(x.shape[1], draw.number(1, 5), draw.number(1, 5), draw.number(1, 6))
        return replace(case, shapes=(x.shape, *case.shapes[1:])), [x]
    inputs = x.shape[1]
    return Case("dense", Dense(draw.activation()), (x.shape, (draw.number(1, 30), inputs))), [x]


def _any(draw: Draw, x: Value, _others: list[Value]) -> tuple[Case, list[Value]] | None:
    kinds: list[tuple[str, Any]] = [
        ("relu", Relu(draw.one([FusedActivation.RELU, FusedActivation.RELU6]))),
        ("requantize", Requantize()),
        ("softmax", Softmax()),
        ("add_constant", AddConstant(draw.activation())),
        ("reshape", Reshape(_other_shape(draw, int(np.prod(x.shape))))),
    ]
    kinds += [("mean", Mean())] if len(x.shape) > 2 else []
    kinds += [("l2_norm", L2Norm())] if len(x.shape) < 4 else []
    op, attrs = draw.one(kinds)
    return Case(op, attrs, (x.shape, x.shape) if op == "add_constant" else (x.shape,)), [x]


def _other_shape(draw: Draw, size: int) -> tuple[int, ...]:
    factors = [n for n in range(1, size + 1) if size % n == 0]
    first = draw.one(factors)
    rest = size // first
    second = draw.one([n for n in factors if rest % n == 0])
    shapes: list[tuple[int, ...]] = [(1, size), (1, first, rest), (1, first, second, rest // second)]
    chosen: tuple[int, ...] = draw.one(shapes)
    return chosen


def _pairs(draw: Draw, x: Value, others: list[Value]) -> tuple[Case, list[Value]] | None:
    """Two activations, of which the second may be the first."""
    match draw.number(0, 2):
        case 0:
            b = draw.one([other for other in others if other.shape == x.shape])
            return Case("add", Add(draw.activation()), (x.shape, b.shape)), [x, b]
        case 1 if len(x.shape) < 4:
            alike = [o for o in others if o.shape[:-1] == x.shape[:-1] and o.quantization == x.quantization]
            found = [x, *(draw.one(alike) for _ in range(draw.number(1, 3)))]
            return Case("concat", Concat(), tuple(v.shape for v in found)), found
        case _ if len(x.shape) in (3, 4):
            transposed = bool(draw.number(0, 1))
            fitting = [
                o
                for o in others
                if o.shape[:-2] == x.shape[:-2]
                and len(o.shape) == len(x.shape)
                and (o.shape[-1] if transposed else o.shape[-2]) == x.shape[-1]
            ]
            if fitting:
                b = draw.one(fitting)
                return Case("batch_matmul", BatchMatmul(transposed), (x.shape, b.shape)), [x, b]
    return None


SAMPLERS: tuple[Sampler, ...] = (
    *(_convolution1d, _convolution1d, _series, _time, _convolution2d, _convolution2d, _image),
    *(_rows, _rows, _any, _pairs),
)


def random_graph(seed: Sequence[int]) -> Graph:
    """Return a valid graph of one to ``MOST_OPS`` ops."""
    draw = Draw(seed)
    inputs = [_input(draw, index) for index in range(draw.one([1, 1, 1, 2]))]
    values, available, nodes = list(inputs), list(inputs), []
    wanted = draw.number(1, MOST_OPS)
    while len(nodes) < wanted:
        x = available[-1] if draw.number(0, 2) else draw.one(available)
        sampled = draw.one(SAMPLERS)(draw, x, available)
        if sampled is None:
            continue
        case, sources = sampled
        try:
            one = int8_graph(case, draw.number(0, 2**31), sources)
        except (ExportError, ValueError):  # a kernel beyond its axis: not a graph
            continue
        made = one.values[one.nodes[0].output]
        if np.prod(made.shape) > MOST_NUMBERS:
            continue
        names = _names(one, sources, len(nodes))
        constants = [v for v in one.values.values() if v.data is not None or v.name in one.nodes[0].outputs]
        values += [replace(value, name=names[value.name]) for value in constants]
        node = one.nodes[0]
        nodes.append(
            replace(
                node,
                name=f"n{len(nodes)}",
                inputs=tuple(names[name] for name in node.inputs),
                outputs=tuple(names[name] for name in node.outputs),
            )
        )
        available.append(replace(made, name=names[made.name]))
    return _finished(draw, inputs, nodes, values)


def _input(draw: Draw, index: int) -> Value:
    shape = draw.one(
        [
            (1, draw.number(1, 40), draw.number(1, 16)),
            (1, draw.number(1, 14), draw.number(1, 14), draw.number(1, 12)),
            (1, draw.number(1, 60)),
        ]
    )
    scale = float(np.float32(2.0 ** draw.rng.uniform(-9, -2)))
    return Value(f"in{index}", shape, "int8", Quantization((scale,), draw.number(-128, 127)))


def _names(one: Graph, sources: Sequence[Value], index: int) -> dict[str, str]:
    """Names in the large graph of what a graph of one op has."""
    names = {name: f"n{index}_{name}" for name in one.values}
    return names | {name: source.name for name, source in zip(one.inputs, sources, strict=True)}


def _finished(draw: Draw, inputs: list[Value], nodes: list[Node], values: list[Value]) -> Graph:
    """The graph with every result that nobody reads as an output, and perhaps one more."""
    read = {name for node in nodes for name in node.inputs}
    outputs = [node.output for node in nodes if node.output not in read]
    middle = [node.output for node in nodes if node.output in read]
    if middle and draw.number(0, 2) == 0:
        outputs.append(draw.one(middle))
    used = [value for value in inputs if value.name in read]
    unread = {value.name for value in inputs} - read
    kept = [value for value in values if value.name not in unread]
    graph = assemble([value.name for value in used], outputs, nodes, kept)
    graph.validate()
    return graph


@dataclass
class Found:
    """What a campaign came to.

    Attributes:
        graphs, ops: that were run, and how many of each op they had.
        refused: that the generator refused, by its words.
        runs: of a graph in C, by the kind of kernels and where they ran.
        failures: graphs whose C did otherwise, in words.
    """

    graphs: int = 0
    ops: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def check_batch(seed: int, first: int, found: Found, compiler: Compiler, *, emulate: bool = True) -> None:
    """Run the ``BATCH`` graphs from number ``first`` on, and write down what was found."""
    graphs: dict[int, Graph] = {}
    for number in range(first, first + BATCH):
        graph = random_graph((seed, number))
        try:
            missing = set().union(*(_missing_headers(write_network(graph, optimize=o).files) for o in Optimize))
        except ExportError as error:  # sums that could leave int32
            found.refused[type(error).__name__] += 1
            continue
        if missing:
            found.failures.append(f"graph {number} includes {', '.join(sorted(missing))}, which it is not given")
        graphs[number] = graph
        found.ops.update(node.op for node in graph.nodes)
    found.graphs += len(graphs)
    rng = np.random.default_rng((seed, first))
    windows = [_windows(graph, rng) for graph in graphs.values()]
    expected = [run(graph, x) for graph, x in zip(graphs.values(), windows, strict=True)]
    for way in WAYS:
        where = f"{way}, sanitizers"
        outputs = sanitized(list(graphs.values()), windows, way, compiler)
        if isinstance(outputs, str):
            found.failures.append(f"{where}, seed {seed}, batch {first}: {outputs}")
            continue
        _compare(where, graphs, expected, outputs, found)
    if emulate:
        first_rows = [[y[:1] for y in each] for each in expected]
        for optimize in (Optimize.BALANCED, Optimize.SPEED):
            _compare(f"{optimize}, {CORE}", graphs, first_rows, _emulated(graphs, windows, optimize), found)


def _windows(graph: Graph, rng: np.random.Generator) -> list[I8]:
    """Random windows of each input, then one of either end."""
    found = []
    for name in graph.inputs:
        shape = graph.values[name].shape[1:]
        x = rng.integers(-128, 128, (WINDOWS, *shape)).astype(np.int8)
        x[1] = rng.choice(np.array([-128, 127], np.int8), shape)
        found.append(x)
    return found


def _compare(
    where: str,
    graphs: Mapping[int, Graph],
    expected: Sequence[Sequence[I8]],
    outputs: Sequence[Sequence[I8]],
    found: Found,
) -> None:
    for (number, graph), wanted, given in zip(graphs.items(), expected, outputs, strict=True):
        found.runs[where] += 1
        for name, a, b in zip(graph.outputs, wanted, given, strict=True):
            if not np.array_equal(a.ravel(), b.ravel()):
                ops = " ".join(node.op for node in graph.nodes)
                found.failures.append(f"{where}: output {name!r} of graph {number} ({ops}) differs")


def _emulated(graphs: Mapping[int, Graph], windows: Sequence[Sequence[I8]], optimize: Optimize) -> list[list[I8]]:
    """Outputs of the first window of each graph, all in one image."""
    network = write_network(side_by_side(list(graphs.values())), optimize=optimize)
    outputs = iter(profile_network(network, [x[:1] for each in windows for x in each], CORES[CORE]).outputs)
    return [[next(outputs) for _ in graph.outputs] for graph in graphs.values()]


def _missing_headers(files: Mapping[str, bytes]) -> set[str]:
    """Headers that C files include and that are not among them."""
    named = {name.decode() for data in files.values() for name in re.findall(rb'#include "([^"]+)"', data)}
    return named - set(files)


def sanitized(
    graphs: Sequence[Graph], windows: Sequence[Sequence[I8]], way: str, compiler: Compiler
) -> list[list[I8]] | str:
    """Return the outputs ``[N, ...]`` of each graph from a program with sanitizers, or what went wrong, in words."""
    optimize, flags = WAYS[way]
    files: dict[str, bytes] = {}
    calls = []
    for index, graph in enumerate(graphs):
        files |= write_network(graph, f"case_{index}", optimize=optimize).files
        files[f"case_{index}.c"] = files[f"case_{index}.c"].replace(b"layer_", f"case_{index}_layer_".encode())
        calls.append(_call(graph, index))
    headers = "\n".join(f'#include "case_{index}.h"' for index in range(len(graphs)))
    files["main.c"] = MAIN.replace("@headers@", headers).replace("@calls@", "\n".join(calls)).encode()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGEHAR_CACHE"] = folder  # nothing of a batch is needed again
        given, written = Path(folder) / "given", Path(folder) / "written"
        given.write_bytes(b"".join(x[n].tobytes() for each in windows for n in range(WINDOWS) for x in each))
        try:
            program = linked(compiler, files, (*SANITIZERS, *flags), ".fuzz")
        except EdgeharError as error:
            return str(error)
        done = subprocess.run([program, given, written], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return " ".join(done.stderr.split())[:400] or f"exit code {done.returncode}"
        data = np.frombuffer(written.read_bytes(), np.int8)
    outputs, at = [], 0
    for graph in graphs:
        sizes = [int(np.prod(graph.values[name].shape)) for name in graph.outputs]
        rows = data[at : at + WINDOWS * sum(sizes)].reshape(WINDOWS, sum(sizes))
        at += rows.size
        outputs.append(np.split(rows, np.cumsum(sizes)[:-1], axis=1))
    return outputs if at == len(data) else f"{len(data)} bytes of output, expected {at}"


MAIN = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>

@headers@

static FILE *given;
static FILE *written;

/* A block of its own, so that a byte beside it is noticed. */
static void *block(size_t size, int filled_with)
{
    void *memory = malloc(size);
    if (memory == NULL) {
        exit(2);
    }
    memset(memory, filled_with, size);
    return memory;
}

static int8_t *taken(size_t size)
{
    int8_t *memory = block(size, 0);
    if (fread(memory, 1, size, given) != size) {
        exit(3);
    }
    return memory;
}

static void put(int8_t *memory, size_t size)
{
    if (fwrite(memory, 1, size, written) != size) {
        exit(4);
    }
    free(memory);
}

int main(int count, char **arguments)
{
    given = count == 3 ? fopen(arguments[1], "rb") : NULL;
    written = count == 3 ? fopen(arguments[2], "wb") : NULL;
    if (given == NULL || written == NULL) {
        return 5;
    }
@calls@
    fclose(given);
    return fclose(written) == 0 ? 0 : 6;
}
"""


def _call(graph: Graph, index: int) -> str:
    sizes = [[int(np.prod(graph.values[name].shape)) for name in names] for names in (graph.inputs, graph.outputs)]
    ins = [f"in{i}" for i in range(len(sizes[0]))]
    outs = [f"out{i}" for i in range(len(sizes[1]))]
    lines = [f"for (int n = 0; n < {WINDOWS}; n++) {{"]
    lines.append(f"    case_{index}_arena *arena = block(sizeof *arena, n % 2 ? {RUBBISH[0]} : {RUBBISH[1]});")
    lines += [f"    int8_t *{name} = taken({size});" for name, size in zip(ins, sizes[0], strict=True)]
    lines += [f"    int8_t *{name} = block({size}, 0);" for name, size in zip(outs, sizes[1], strict=True)]
    lines.append(f"    case_{index}_run(arena, {', '.join([*ins, *outs])});")
    lines += [f"    free({name});" for name in ins]
    lines += [f"    put({name}, {size});" for name, size in zip(outs, sizes[1], strict=True)]
    return "\n".join([*lines, "    free(arena);", "}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=160, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first graph")
    parser.add_argument("--json", type=Path, metavar="FILE", help="list of campaigns to add this one to")
    options = parser.parse_args()
    compiler = find_compiler()
    if compiler is None:
        raise UsageError("needs a C compiler of this computer; set CC")
    found, begin = Found(), time.perf_counter()
    for first in range(options.first, options.first + options.graphs, BATCH):
        before = len(found.failures)
        check_batch(options.seed, first, found, compiler)
        for failure in found.failures[before:]:
            print(failure, flush=True)
        print(f"{found.graphs} graphs, {len(found.failures)} failures, {time.perf_counter() - begin:.0f} s", flush=True)
    row = {
        "command": f"python tools/fuzz/graphs.py --graphs {options.graphs} --seed {options.seed}",
        "graphs": found.graphs,
        "ops": dict(sorted(found.ops.items())),
        "refused": dict(found.refused),
        "runs": dict(found.runs),
        "failures": found.failures,
        "seconds": round(time.perf_counter() - begin),
    }
    missing = sorted(set(EMITTERS) - set(found.ops))
    print(row, "\nops that did not occur:", missing or "none")
    if options.json:
        keep(options.json, row)
    return 1 if found.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgeharError as error:
        print(f"graphs: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
