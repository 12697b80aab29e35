"""Networks compiled to C and run through ctypes: many in one library, as compiling is what takes time."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from edgehar.c_compiler import FLAGS, Compiler, find_compiler, shared_library, zig
from firmware_export.graph import Graph
from firmware_export.targets.c import Optimize, write_network

STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion")


def compilers() -> dict[str, Compiler]:
    """The computer's own compiler and clang from the package ziglang."""
    found = find_compiler()
    command = zig()
    assert found is not None
    assert command is not None
    return {"cc": found, "zig": Compiler(command, "zig")}


def compile_networks(
    graphs: Sequence[Graph],
    compiler: Compiler,
    flags: Sequence[str] = ("-O1",),
    optimize: Optimize = Optimize.SIZE,
) -> ctypes.CDLL:
    """One library with ``case_0_run``, ``case_1_run``, ...; one translation unit, so that it takes seconds."""
    files: dict[str, bytes] = {}
    unit = []
    for index, graph in enumerate(graphs):
        written = dict(write_network(graph, f"case_{index}", optimize=optimize).files)
        unit.append(written.pop(f"case_{index}.c").replace(b"layer_", f"case_{index}_layer_".encode()))
        files |= written
    files["all.c"] = b"\n".join(unit)
    return ctypes.CDLL(str(shared_library(compiler, files, (*FLAGS, *STRICT, *flags))))


def run_network(
    library: ctypes.CDLL,
    index: int,
    graph: Graph,
    inputs: Sequence[np.ndarray],
    optimize: Optimize = Optimize.SIZE,
) -> list[np.ndarray]:
    """Each output ``[N, ...]`` of ``case_{index}`` for inputs ``[N, ...]``; the arena starts full of rubbish."""
    run = getattr(library, f"case_{index}_run")
    arena = np.full(write_network(graph, optimize=optimize).arena_bytes // 8, 0x5A5A5A5A5A5A5A5A, np.int64)
    outputs = [np.empty((len(inputs[0]), *graph.values[name].shape[1:]), np.int8) for name in graph.outputs]
    for row in range(len(inputs[0])):
        arrays = [arena, *(np.ascontiguousarray(x[row]) for x in inputs), *(y[row : row + 1] for y in outputs)]
        run(*(ctypes.c_void_p(a.ctypes.data) for a in arrays))
    return outputs
