"""Processor cores that images are built for and run on. One table; nothing heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edgehar.errors import UsageError


@dataclass(frozen=True)
class Memory:
    """Where an image lies. Whether it fits a board is said afterwards, not by the linker, so there is plenty."""

    flash_origin: int = 0x0000_0000
    ram_origin: int = 0x2000_0000
    bytes: int = 4 << 20  # of each


MEMORY = Memory()
STACK_BYTES = 16 << 10


class Architecture(Enum):
    """Instruction set families."""

    ARM = "arm"
    RISCV = "riscv"


@dataclass(frozen=True)
class Core:
    """One processor core.

    Attributes:
        name: key in ``CORES``.
        label: for people.
        architecture: which registers and start-up code it has.
        zig_flags: target of ``zig cc``.
        gcc_flags: target of ``arm-none-eabi-gcc``; empty where that compiler has no such core.
        unicorn_model: constant of ``unicorn`` that names the emulated processor; empty where Unicorn has none.
        aligned: a word that is not at a multiple of its size cannot be loaded.
    """

    name: str
    label: str
    architecture: Architecture
    zig_flags: tuple[str, ...]
    gcc_flags: tuple[str, ...]
    unicorn_model: str
    aligned: bool = False


CORES: dict[str, Core] = {
    "cortex_m0plus": Core(
        "cortex_m0plus",
        "Cortex-M0+",
        Architecture.ARM,
        ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus"),
        ("-mcpu=cortex-m0plus", "-mthumb"),
        "UC_CPU_ARM_CORTEX_M0",
        aligned=True,
    ),
    "cortex_m4f": Core(
        "cortex_m4f",
        "Cortex-M4F",
        Architecture.ARM,
        ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp", "-mfloat-abi=hard"),
        ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
        "UC_CPU_ARM_CORTEX_M4",
    ),
    "cortex_m7": Core(
        "cortex_m7",
        "Cortex-M7",
        Architecture.ARM,
        ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m7+fp_armv8d16sp", "-mfloat-abi=hard"),
        ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
        "UC_CPU_ARM_CORTEX_M7",
    ),
    "cortex_m33": Core(
        "cortex_m33",
        "Cortex-M33",
        Architecture.ARM,
        ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m33+dsp+fp_armv8d16sp", "-mfloat-abi=hard"),
        ("-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
        "UC_CPU_ARM_CORTEX_M33",
    ),
    "rv32imc": Core(
        "rv32imc",
        "RV32IMC",
        Architecture.RISCV,
        ("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+c", "-mno-relax"),
        (),
        "UC_CPU_RISCV32_BASE32",
        aligned=True,
    ),
}
DEFAULT_CORE = "cortex_m4f"


def core_of(name: str) -> Core:
    """Return the core ``name``.

    Raises:
        UsageError: there is none of that name; lists those there are.
    """
    core = CORES.get(name)
    if core is None:
        raise UsageError(f"no core {name!r}; there are {', '.join(CORES)}")
    return core
