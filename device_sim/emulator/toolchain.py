"""C sources to the image of a core, by ``zig cc`` from pip or by the user's ``arm-none-eabi-gcc``."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from importlib import resources

from device_sim.emulator.cores import MEMORY, STACK_BYTES, Architecture, Core, Memory
from device_sim.emulator.image import Image, read_image
from edgehar.c_compiler import Compiler, compiler_version, linked, string_header, zig
from edgehar.errors import MissingExtraError, UsageError

COMPILERS = ("zig", "gcc")
GCC = "arm-none-eabi-gcc"
# The front end's float32 must be rounded after each operation (docs/decisions/0001), hence no contraction.
FLAGS = (
    *("-std=c99", "-O3", "-ffp-contract=off", "-fomit-frame-pointer", "-ffunction-sections", "-fdata-sections"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-Wl,--gc-sections", "-Wl,-T,link.ld"),
    *("-I", "."),
)
START = {Architecture.ARM: "start_arm.c", Architecture.RISCV: "start_riscv.c"}


def cross_compiler(core: Core, name: str = "zig") -> tuple[Compiler, tuple[str, ...]]:
    """Return a compiler for a core and the flags that it needs.

    Args:
        core: to compile for.
        name: one of ``COMPILERS``; the default gives the same image on every computer.

    Raises:
        UsageError: no such compiler, or it has no such core, or it is not on this computer.
        MissingExtraError: the package ``ziglang`` is not installed.
    """
    if name == "zig":
        command = zig()
        if command is None:
            raise MissingExtraError("ziglang", "firmware", f"an image for {core.label}")
        return Compiler(command, compiler_version(command) or "unknown"), (*core.zig_flags, "-fno-sanitize=all", "-g")
    if name != "gcc":
        raise UsageError(f"no compiler {name!r}; there are {', '.join(COMPILERS)}")
    path = shutil.which(GCC)
    if path is None or not core.gcc_flags:
        reason = f"{GCC} is not on this computer" if core.gcc_flags else f"{GCC} does not know {core.label}"
        raise UsageError(f"{reason}; choose the compiler zig")
    return Compiler((path,), compiler_version((path,)) or "unknown"), (*core.gcc_flags, "-nostartfiles")


def build_image(
    core: Core,
    files: Mapping[str, bytes],
    entries: Sequence[str],
    compiler: str = "zig",
    optimise: Sequence[str] = (),
    *,
    memory: Memory = MEMORY,
) -> Image:
    """Return the image of C sources with start-up code around them; builds are kept in the cache.

    Args:
        core: to compile for.
        files: contents by path; those ending in ``.c`` are compiled.
        entries: functions that will be called from outside, with all they need; the rest is left out.
        compiler: one of ``COMPILERS``.
        optimise: flags after the usual ones, so ``-Os`` replaces ``-O3``.
        memory: where flash and RAM lie.

    Raises:
        UsageError, MissingExtraError: see :func:`cross_compiler`.
        EngineError: the compiler refuses the sources.
    """
    command, target = cross_compiler(core, compiler)
    start = START[core.architecture]
    sources = {
        **files,
        start: _runtime(start),
        "string.h": string_header(),
        "link.ld": _linker_script(entries, memory),
    }
    path = linked(command, sources, (*FLAGS, *target, *optimise), ".elf")
    return read_image(path)


def _linker_script(entries: Sequence[str], memory: Memory) -> bytes:
    text = _runtime("link.ld").decode().replace("@entries@", " ".join(entries))
    parts = {
        "flash_origin": memory.flash_origin,
        "ram_origin": memory.ram_origin,
        "memory_bytes": memory.bytes,
        "stack_bytes": STACK_BYTES,
    }
    for name, number in parts.items():
        text = text.replace(f"@{name}@", hex(number))
    return text.encode()


def _runtime(name: str) -> bytes:
    return resources.files(__package__).joinpath("runtime", name).read_bytes()
