"""What a basic block consists of: kinds of instructions, as the timing tables of cores tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from device_sim.emulator.cores import Architecture, Core
from edgehar.errors import MissingExtraError


class Kind(Enum):
    """Classes of instructions that cores publish one timing for."""

    ALU = "move, add, logic, shift, compare"
    MULTIPLY = "32-bit and dual 16-bit multiply"
    MULTIPLY_ADD = "32-bit multiply and add"
    MULTIPLY_LONG = "64-bit multiply, with or without add"
    DIVIDE = "divide"
    LOAD = "load of one register"
    STORE = "store of one register"
    LOAD_MANY = "load of N registers"
    STORE_MANY = "store of N registers"
    RETURN_MANY = "load of N registers, the program counter among them"
    BRANCH = "branch"
    CALL = "branch with link"
    FLOAT = "float32 move, add, multiply, compare, convert"
    FLOAT_MULTIPLY_ADD = "float32 multiply and add"
    FLOAT_DIVIDE = "float32 divide, square root"


MEMORY = frozenset({Kind.LOAD, Kind.STORE, Kind.LOAD_MANY, Kind.STORE_MANY, Kind.RETURN_MANY})
MULTIPLIES = frozenset({Kind.MULTIPLY, Kind.MULTIPLY_ADD, Kind.MULTIPLY_LONG})
JUMPS = frozenset({Kind.BRANCH, Kind.CALL, Kind.RETURN_MANY})


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction.

    Attributes:
        kind: its timing class.
        size: in bytes.
        moved: registers moved by a load or store of several.
        reads, writes: numbers of registers.
    """

    kind: Kind
    size: int
    moved: int = 0
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()


THUMB = {
    **dict.fromkeys(("mul", "smmul", "smmulr", "smuad", "smuadx", "smusd", "smusdx"), Kind.MULTIPLY),
    **dict.fromkeys(("smulbb", "smulbt", "smultb", "smultt", "smulwb", "smulwt"), Kind.MULTIPLY),
    **dict.fromkeys(("smlad", "smladx", "smlsd", "smlsdx", "smmla", "smmlar", "smmls", "smmlsr"), Kind.MULTIPLY),
    **dict.fromkeys(("smlabb", "smlabt", "smlatb", "smlatt", "smlawb", "smlawt", "usad8", "usada8"), Kind.MULTIPLY),
    **dict.fromkeys(("mla", "mls"), Kind.MULTIPLY_ADD),
    **dict.fromkeys(("smull", "umull", "smlal", "umlal", "umaal"), Kind.MULTIPLY_LONG),
    **dict.fromkeys(("smlalbb", "smlalbt", "smlaltb", "smlaltt", "smlald", "smlaldx"), Kind.MULTIPLY_LONG),
    **dict.fromkeys(("smlsld", "smlsldx"), Kind.MULTIPLY_LONG),
    **dict.fromkeys(("sdiv", "udiv"), Kind.DIVIDE),
    **dict.fromkeys(("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "vldr"), Kind.LOAD),
    **dict.fromkeys(("str", "strb", "strh", "vstr"), Kind.STORE),
    **dict.fromkeys(("ldm", "ldmdb", "ldrd", "pop", "vldmia", "vldmdb", "vpop"), Kind.LOAD_MANY),
    **dict.fromkeys(("stm", "stmdb", "strd", "push", "vstmia", "vstmdb", "vpush"), Kind.STORE_MANY),
    **dict.fromkeys(("b", "bx", "cbz", "cbnz", "tbb", "tbh"), Kind.BRANCH),
    **dict.fromkeys(("bl", "blx"), Kind.CALL),
    **dict.fromkeys(("vmla", "vmls", "vnmla", "vnmls", "vfma", "vfms", "vfnma", "vfnms"), Kind.FLOAT_MULTIPLY_ADD),
    **dict.fromkeys(("vdiv", "vsqrt"), Kind.FLOAT_DIVIDE),
}
RISCV = {
    **dict.fromkeys(("mul",), Kind.MULTIPLY),
    **dict.fromkeys(("mulh", "mulhsu", "mulhu"), Kind.MULTIPLY_LONG),
    **dict.fromkeys(("div", "divu", "rem", "remu"), Kind.DIVIDE),
    **dict.fromkeys(("lb", "lbu", "lh", "lhu", "lw", "lwsp"), Kind.LOAD),
    **dict.fromkeys(("sb", "sh", "sw", "swsp"), Kind.STORE),
    **dict.fromkeys(("beq", "bne", "blt", "bltu", "bge", "bgeu", "beqz", "bnez", "j", "jr"), Kind.BRANCH),
    **dict.fromkeys(("jal", "jalr"), Kind.CALL),
}

REGISTER, MEMORY_PLACE = 1, 3  # capstone's types of operands
Decoder = Callable[[bytes, int], list[Instruction]]


def decoder(core: Core) -> Decoder:
    """Return a function from the bytes of a block and its address to instructions.

    Raises:
        MissingExtraError: ``capstone`` is not installed.
    """
    try:
        import capstone
    except ModuleNotFoundError:
        raise MissingExtraError("capstone", "firmware", "reading instructions") from None
    if core.architecture is Architecture.ARM:
        engine = capstone.Cs(
            capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
        )
        read = _thumb
    else:
        engine = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
        read = _riscv
    engine.detail = True

    def decode(code: bytes, address: int) -> list[Instruction]:
        found: list[Instruction] = []
        at = 0
        while at < len(code):
            for instruction in engine.disasm(code[at:], address + at):
                found.append(read(instruction))
                at += instruction.size
            if at < len(code):  # something newer than the disassembler
                size = _size(core, code, at)
                found.append(Instruction(Kind.ALU, size))
                at += size
        return found

    return decode


def _size(core: Core, code: bytes, at: int) -> int:
    first = int.from_bytes(code[at : at + 2], "little")
    long = first >= 0xE800 if core.architecture is Architecture.ARM else first & 3 == 3
    return 4 if long else 2


def _thumb(instruction: Any) -> Instruction:
    name = instruction.insn_name()
    kind = THUMB.get(name)
    if kind is None:
        kind = Kind.FLOAT if name.startswith("v") else Kind.ALU
    reads, writes = map(frozenset, instruction.regs_access())
    moved = 0
    if kind in (Kind.LOAD_MANY, Kind.STORE_MANY):
        names = [instruction.reg_name(o.reg) for o in instruction.operands if o.type == REGISTER]
        listed = 2 if name in ("ldrd", "strd") else len(names)
        base = 1 if name in ("ldm", "ldmdb", "stm", "stmdb", "vldmia", "vldmdb", "vstmia", "vstmdb") else 0
        moved = listed - base
        if kind is Kind.LOAD_MANY and "pc" in names:
            kind = Kind.RETURN_MANY
    return Instruction(kind, instruction.size, moved, reads, writes)


def _riscv(instruction: Any) -> Instruction:
    kind = RISCV.get(instruction.insn_name().removeprefix("c."), Kind.ALU)
    used = [
        o.reg if o.type == REGISTER else o.mem.base for o in instruction.operands if o.type in (REGISTER, MEMORY_PLACE)
    ]
    written = 0 if kind in (Kind.STORE, Kind.BRANCH) else 1  # the destination is written first
    return Instruction(kind, instruction.size, 0, frozenset(used[written:]), frozenset(used[:written]))
