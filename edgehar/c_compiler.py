"""A C compiler on this computer, and shared libraries or images made with it. Standard library only.

What was built is kept by the hash of everything that made them, in ``EDGEHAR_CACHE``, else ``$XDG_CACHE_HOME/edgehar``,
else ``~/.cache/edgehar``.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgehar.errors import EngineError
from edgehar.files import sha256_bytes

# The front end's float32 must be rounded after each operation (docs/decisions/0001), hence no contraction.
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-fno-sanitize=all", "-fPIC", "-shared", "-Wl,-z,defs")
SECONDS = 300


@dataclass(frozen=True)
class Compiler:
    """A command that takes C files and gcc's options.

    Attributes:
        command: to be followed by arguments.
        version: what it says of itself.
    """

    command: tuple[str, ...]
    version: str


def zig() -> tuple[str, ...] | None:
    """Return the command of the C compiler in the package ``ziglang``, None where that is not installed."""
    try:
        found = importlib.util.find_spec("ziglang") is not None
    except (ImportError, ValueError):
        found = False
    return (sys.executable, "-m", "ziglang", "cc") if found else None


def find_compiler() -> Compiler | None:
    """Return the compiler that ``CC`` names, else ``cc``, else ``zig cc``; None where there is none that runs."""
    candidates: list[tuple[str, ...] | None] = [tuple(shlex.split(os.environ.get("CC", "")))]
    path = shutil.which("cc")
    candidates += [(path,) if path else None, zig()]
    for command in candidates:
        version = compiler_version(command) if command else None
        if command and version:
            return Compiler(command, version)
    return None


def compiler_version(command: Sequence[str]) -> str | None:
    """Return what a compiler says of its version, None where it does not run."""
    try:
        done = subprocess.run([*command, "-dumpversion"], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def string_header() -> bytes:
    """Return the part of ``string.h`` that generated code uses, for a target without a C library."""
    return resources.files("edgehar").joinpath("c_string.h").read_bytes()


def cache_folder() -> Path:
    """Return the folder that built libraries are kept in; it may not exist yet."""
    base = os.environ.get("EDGEHAR_CACHE")
    if base:
        return Path(base) / "native"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgehar" / "native"


def shared_library(compiler: Compiler, files: Mapping[str, bytes], flags: Sequence[str] = FLAGS) -> Path:
    """Return the shared library of these C files. Arguments and errors as of :func:`linked`."""
    return linked(compiler, files, flags, ".so")


def linked(compiler: Compiler, files: Mapping[str, bytes], flags: Sequence[str], suffix: str) -> Path:
    """Return what these C files link to, built now or found in the cache.

    Args:
        compiler: builds it.
        files: contents by path; those ending in ``.c`` are compiled, all lie beside each other for ``#include``.
        flags: of the compiler and linker, which run in the folder of the files.
        suffix: of the result's name.

    Raises:
        EngineError: the compiler refuses the files (its first error is in the message), or the cache cannot be
            written.
    """
    parts = [*compiler.command, compiler.version, *flags]
    parts += [f"{name}:{sha256_bytes(data)}" for name, data in sorted(files.items())]
    kept = cache_folder() / f"{sha256_bytes(chr(10).join(parts).encode())}{suffix}"
    if kept.is_file():
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".building-") as folder:
            built = _build(compiler, files, flags, Path(folder))
            built.replace(kept)
    except OSError as error:
        raise EngineError(
            f"{kept.parent}: cannot keep the compiled network there ({error.strerror}); "
            "set EDGEHAR_CACHE to a folder that can be written"
        ) from None
    return kept


def _build(compiler: Compiler, files: Mapping[str, bytes], flags: Sequence[str], folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    sources = [name for name in files if name.endswith(".c")]
    command = [*compiler.command, *flags, *sources, "-o", "built"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"{compiler.command[0]} did not compile within {SECONDS} s; set CC to another one") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line or "undefined" in line]
        first = " ".join((lines or done.stderr.splitlines() or ["no message"])[0].split())[:300]
        raise EngineError(f"{compiler.command[0]} {compiler.version} refuses the C sources: {first}")
    return folder / "built"
