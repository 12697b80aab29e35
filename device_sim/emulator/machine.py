"""One emulated processor with an image in its flash: calls functions, counts blocks, watches the stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.emulator.cores import MEMORY, STACK_BYTES, Architecture, Core
from device_sim.emulator.counter import BlockCounter
from device_sim.emulator.image import Image
from edgehar.errors import EngineError, MissingExtraError

SYSTEM_CONTROL = 0xE000_E000  # of a Cortex-M; start-up code switches floating point on there
PAINT = 0xA5
LARGEST_PUSH = 64  # bytes that one instruction stores below the stack pointer before it moves
OTHER = "other"  # region of code that belongs to none


class Machine:
    """A processor after power-on and start-up code.

    Args:
        image: goes to flash.
        core: runs it.
        regions: name of a region by function name. What a function without a region executes is counted for the
            region that called it; before the first, for ``other``.

    Attributes:
        regions: their names; rows of the counter's arrays.
        counter: of blocks since start-up.
    """

    def __init__(self, image: Image, core: Core, regions: Mapping[str, str] | None = None) -> None:
        self.image, self.core = image, core
        named = dict(regions or {})
        self.regions = tuple(dict.fromkeys((OTHER, *named.values())))
        base, code = image.code
        owner = _owners(image, named, self.regions)
        self.counter = BlockCounter(base, len(code) // 2, owner, len(self.regions))
        self._uc, self._registers = _engine(core)
        self._uc.mem_map(MEMORY.flash_origin, MEMORY.bytes)
        self._uc.mem_map(MEMORY.ram_origin, MEMORY.bytes)
        for address, data in image.segments.items():
            self._uc.mem_write(address, data)
        self._idle = image.symbol("image_idle")
        self._stack_limit, self._stack_top = image.symbol("image_stack_limit"), image.symbol("image_stack_top")
        self._uc.mem_write(self._stack_limit, bytes([PAINT]) * STACK_BYTES)
        self.counter.attach(self._uc)
        self._run(image.symbol("image_reset"))
        self.counter.clear()

    def call(self, function: str, *arguments: int) -> int:
        """Run a function to its end and return its result register.

        Args:
            function: its symbol.
            arguments: integers or addresses, as many as go into registers (4 on ARM, 8 on RISC-V).

        Raises:
            EngineError: the image has no such function, it faulted, or its stack overflowed.
        """
        registers = self._registers["arguments"]
        if len(arguments) > len(registers):
            raise ValueError(f"{len(arguments)} arguments, expected at most {len(registers)}")
        for register, argument in zip(registers, arguments, strict=False):
            self._uc.reg_write(register, argument & 0xFFFF_FFFF)
        self._run(self.image.symbol(function))
        self.counter.check()
        return int(self._uc.reg_read(registers[0]))

    def write(self, address: int | str, data: bytes) -> None:
        """Write memory at an address or symbol."""
        self._uc.mem_write(self._place(address), data)

    def read(self, address: int | str, size: int) -> bytes:
        """Read memory at an address or symbol."""
        return bytes(self._uc.mem_read(self._place(address), size))

    def hook(self, kind: int, function: Callable[..., None], begin: int, end: int) -> None:
        """Let Unicorn call ``function`` at events of a kind (``unicorn.UC_HOOK_...``) between two addresses."""
        self._uc.hook_add(kind, function, begin=begin, end=end)
        self._uc.ctl_flush_tb()  # what has been translated before would not call it

    @property
    def stack_bytes(self) -> int:
        """Deepest use of the stack by any call so far."""
        stack = np.frombuffer(self.read(self._stack_limit, STACK_BYTES), np.uint8)
        used = np.flatnonzero(stack != PAINT)
        return int(STACK_BYTES - used[0]) if used.size else 0

    def _place(self, address: int | str) -> int:
        return self.image.symbol(address) if isinstance(address, str) else address

    def _run(self, begin: int) -> None:
        from unicorn import UcError

        thumb = self.core.architecture is Architecture.ARM
        self._uc.reg_write(self._registers["stack"], self._stack_top)
        self._uc.reg_write(self._registers["link"], self._idle | thumb)
        self.counter.begin()
        try:
            self._uc.emu_start(begin | thumb, self._idle)
        except UcError as error:
            raise self._fault(str(error)) from None
        if self._uc.reg_read(self._registers["pc"]) & ~1 != self._idle:
            raise self._fault("it stopped early")

    def _fault(self, reason: str) -> EngineError:
        address = self._uc.reg_read(self._registers["pc"])
        function = self.image.function_at(address)
        if self._uc.reg_read(self._registers["stack"]) < self._stack_limit + LARGEST_PUSH:
            reason = f"the stack of {STACK_BYTES} bytes overflowed"
        where = f"{function.name}+{address - function.address:#x}" if function else "no function"
        return EngineError(f"the image faulted on {self.core.label} at {address:#x} ({where}): {reason}")


def _owners(image: Image, regions: Mapping[str, str], names: Sequence[str]) -> NDArray[np.int16]:
    base, code = image.code
    owner = np.full(len(code) // 2, -1, np.int16)
    found = set()
    for function in image.functions:
        plain = function.name.partition(".")[0]  # gcc appends .isra.0, .constprop.0 to functions that it specialised
        if plain in regions:
            found.add(plain)
            first = (function.address - base) // 2
            owner[first : first + (function.size + 1) // 2] = names.index(regions[plain])
    if missing := set(regions) - found:
        raise EngineError(
            f"the image has no function {sorted(missing)[0]!r} to be told apart; the compiler inlined it or left it out"
        )
    return owner


def _engine(core: Core) -> tuple[Any, dict[str, Any]]:
    """The emulator and the registers of its calling convention."""
    try:
        import unicorn
        from unicorn import arm_const as arm
        from unicorn import riscv_const as riscv
    except ModuleNotFoundError:
        raise MissingExtraError("unicorn", "firmware", f"an emulated {core.label}") from None
    if core.architecture is Architecture.ARM:
        engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        engine.ctl_set_cpu_model(getattr(arm, core.unicorn_model))
        engine.mem_map(SYSTEM_CONTROL, 0x1000)
        arguments = [arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3]
        names = {"stack": arm.UC_ARM_REG_SP, "link": arm.UC_ARM_REG_LR, "pc": arm.UC_ARM_REG_PC}
        return engine, {"arguments": arguments, **names}
    engine = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
    engine.ctl_set_cpu_model(getattr(riscv, core.unicorn_model))
    arguments = [getattr(riscv, f"UC_RISCV_REG_A{i}") for i in range(8)]
    names = {"stack": riscv.UC_RISCV_REG_SP, "link": riscv.UC_RISCV_REG_RA, "pc": riscv.UC_RISCV_REG_PC}
    return engine, {"arguments": arguments, **names}
