"""C sources to a WebAssembly module, by ``zig cc`` from pip. Standard library only.

The module imports nothing: it is a memory and functions, which whoever loads it calls. No libc is linked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgehar.c_compiler import Compiler, compiler_version, linked, string_header, zig
from edgehar.errors import MissingExtraError

TARGET = "wasm32-freestanding"
FEATURES = "generic+bulk_memory"
SIMD = "+simd128"
# The front end's float32 must be rounded after each operation (docs/decisions/0001), hence no contraction.
FLAGS = (
    *("-std=c99", "-O3", "-ffp-contract=off", "-fno-sanitize=all", "-I", "."),
    *("-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=65536"),
)


def wasm_module(files: Mapping[str, bytes], exports: Sequence[str], *, simd: bool = True, what: str) -> Path:
    """Return the file of a module, built now or found in the cache.

    Args:
        files: contents by path; those ending in ``.c`` are compiled.
        exports: functions, and variables whose addresses are exported.
        simd: use vectors of 16 bytes, which browsers have since 2021 to 2023.
        what: needs the compiler; for the error's text.

    Raises:
        MissingExtraError: the package ``ziglang`` is not installed.
        EngineError: the compiler refuses the files, or the cache cannot be written.
    """
    command = zig()
    if command is None:
        raise MissingExtraError("ziglang", "firmware", what)
    compiler = Compiler(command, compiler_version(command) or "unknown")
    flags = ("-target", TARGET, f"-mcpu={FEATURES}{SIMD if simd else ''}", *FLAGS)
    return linked(
        compiler,
        {**files, "string.h": string_header()},
        (*flags, *(f"-Wl,--export={name}" for name in exports)),
        ".wasm",
    )
