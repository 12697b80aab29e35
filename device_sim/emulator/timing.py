"""Cycles of instructions, core by core: modelled, from what the makers of the cores publish (``docs/emulator.md``).

Memory answers at once here; what a board's flash adds is the board's (``boards``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from device_sim.emulator.instructions import JUMPS, MEMORY, MULTIPLIES, Instruction, Kind

PAIRABLE_BYTES = 2  # what Cortex-M33 issues in pairs: 16-bit instructions


@dataclass(frozen=True)
class Timing:
    """How long a core takes for what.

    Attributes:
        cycles: of each kind; of several registers, before the first.
        taken: more for a jump that is taken.
        pipelined: a load or store of one register right after another takes one cycle.
        load_use: more for an instruction that needs what the one before it loads.
        pair_bytes: two neighbours of at most this size may be issued together; 0: never.
        words: registers that a load or store of several moves in a cycle.
        published: whether the core's maker publishes these cycles; otherwise they are an approximation.
        source: where from.
    """

    cycles: Mapping[Kind, int]
    taken: int
    pipelined: bool
    load_use: int
    pair_bytes: int
    words: int
    published: bool
    source: str


ONE = dict.fromkeys(Kind, 1)

TIMINGS: dict[str, Timing] = {
    "cortex_m0plus": Timing(
        {
            **ONE,
            Kind.LOAD: 2,
            Kind.STORE: 2,
            Kind.CALL: 2,
            Kind.RETURN_MANY: 2,
        },
        taken=1,
        pipelined=False,
        load_use=0,
        pair_bytes=0,
        words=1,
        published=True,
        source="Arm DDI 0484C, table 3-1, with the single-cycle multiplier",
    ),
    "cortex_m4f": Timing(
        {
            **ONE,
            Kind.DIVIDE: 7,
            Kind.LOAD: 2,
            Kind.FLOAT_MULTIPLY_ADD: 3,
            Kind.FLOAT_DIVIDE: 14,
        },
        taken=2,
        pipelined=True,
        load_use=0,
        pair_bytes=0,
        words=1,
        published=True,
        source="Arm 100166 (r0p1), tables 3-1 and 7-1; divide, 2 to 12: 7; pipeline refill P, 1 to 3: 2",
    ),
    "cortex_m7": Timing(
        {
            **ONE,
            Kind.LOAD_MANY: 0,
            Kind.STORE_MANY: 0,
            Kind.DIVIDE: 8,
            Kind.FLOAT_MULTIPLY_ADD: 3,
            Kind.FLOAT_DIVIDE: 14,
        },
        taken=1,
        pipelined=True,
        load_use=1,
        pair_bytes=4,
        words=2,
        published=False,
        source="approximation (no table published): two words a load, pairs of neighbours unless both load or multiply",
    ),
    "cortex_m33": Timing(
        {**ONE, Kind.DIVIDE: 7, Kind.FLOAT_MULTIPLY_ADD: 3, Kind.FLOAT_DIVIDE: 14},
        taken=2,
        pipelined=True,
        load_use=0,
        pair_bytes=PAIRABLE_BYTES,
        words=1,
        published=False,
        source="approximation (no table published): loads of one cycle, 16-bit neighbours at once as on Cortex-M7",
    ),
    "rv32imc": Timing(
        {**ONE, Kind.DIVIDE: 16},
        taken=2,
        pipelined=True,
        load_use=1,
        pair_bytes=0,
        words=1,
        published=False,
        source="approximation (no table published): four stages in order",
    ),
}


def block_cycles(timing: Timing, block: Sequence[Instruction]) -> int:
    """Return the cycles of a basic block whose last jump, if it ends in one, is not taken."""
    total = 0
    before: Instruction | None = None
    paired = False  # the instruction before was issued together with the one before it
    for instruction in block:
        cycles = timing.cycles[instruction.kind] + -(-instruction.moved // timing.words)
        if before is not None:
            follows = instruction.kind in (Kind.LOAD, Kind.STORE) and before.kind in (Kind.LOAD, Kind.STORE)
            if timing.pipelined and follows:
                cycles = 1
            if before.kind in (Kind.LOAD, Kind.LOAD_MANY) and before.writes & instruction.reads:
                cycles += timing.load_use
            if not paired and cycles == 1 and _pair(timing, before, instruction):
                cycles = 0
        paired = cycles == 0
        total += cycles
        before = instruction
    return total


def _pair(timing: Timing, first: Instruction, second: Instruction) -> bool:
    if max(first.size, second.size) > timing.pair_bytes or timing.cycles[first.kind] + first.moved > 1:
        return False
    alike = any(first.kind in kinds and second.kind in kinds for kinds in (MEMORY, MULTIPLIES, JUMPS))
    return not alike and first.kind not in JUMPS and not first.writes & (second.reads | second.writes)
