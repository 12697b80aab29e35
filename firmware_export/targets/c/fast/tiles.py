"""The inner function of convolutions by ``winograd``: two output channels at three tiles a turn, in Thumb-2 assembly.

Six running sums, two words of transformed rows and four of weights fill the registers, as in ``two_channels``; the sums
of each point are put on the stack and run on. Then every tile's two positions are made of what lies there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from firmware_export.targets.c.fast.two_channels import LARGEST_STEP, quoted, requantized
from firmware_export.targets.c.fast.winograd import Tile
from firmware_export.targets.c.layer import code

TILES_TOGETHER = 3
UNROLLED = 16  # steps of four products
SAVED = 8  # bytes under the running sums: where the next go, turns left
OF_A_POINT = 24  # bytes of running sums

FUNCTION = """
#if HAR_DSP
/* Two channels at six positions: stream, v and y as of har_two_channels_of_tiles. */
HAR_NAKED static void @name@(HAR_UNUSED const int32_t *stream, HAR_UNUSED const int16_t *v, HAR_UNUSED int8_t *y)
{
    __asm__ volatile(
        @text@
    );
}
#else
static void @name@(const int32_t *stream, const int16_t *v, int8_t *y)
{
    static const int8_t second[@points@] = {@second@};
    har_two_channels_of_tiles(stream, v, y, @points@, @fours@, @outputs@, second, @inverse@U, @halvings@, @low@,
                              @high@);
}
#endif
"""
# On the stack: where the next running sums go, turns left, running sums of all points, y, then the caller's registers.
ENTRY = """
push {r2, r4-r11, lr}
sub sp, #@frame@
mov r12, r0
mov lr, r1
add r0, sp, #@saved@
str r0, [sp]
ldmia r12!, {r6, r7}
mov r8, r6
mov r9, r7
mov r10, r6
mov r11, r7
"""
TURNS = """
mov r0, #@turns@
str r0, [sp, #4]
"""
STEP = """
ldmia r12!, {r2-r5}
ldrd r0, r1, [lr], #8
smlad r6, r2, r0, r6
smlad r7, r4, r0, r7
smlad r6, r3, r1, r6
smlad r7, r5, r1, r7
ldrd r0, r1, [lr], #8
smlad r8, r2, r0, r8
smlad r9, r4, r0, r9
smlad r8, r3, r1, r8
smlad r9, r5, r1, r9
ldrd r0, r1, [lr], #8
smlad r10, r2, r0, r10
smlad r11, r4, r0, r11
smlad r10, r3, r1, r10
smlad r11, r5, r1, r11
"""
TURN_END = """
ldr r0, [sp, #4]
subs r0, r0, #1
str r0, [sp, #4]
bne.w 3b
"""
POINT_END = """
ldr r0, [sp]
stmia r0!, {r6-r11}
str r0, [sp]
add r1, sp, #@frame@
cmp r0, r1
bne.w 2b
ldr lr, [sp, #@frame@]
"""
DIVIDE = """
mul @sum@, @sum@, r3
asr @sum@, @sum@, #@halvings@
"""
EXIT = """
add sp, #@frame_and_y@
pop {r4-r11, pc}
"""


@dataclass(frozen=True)
class TwoChannelsOfTiles:
    """What the function's text depends on.

    Attributes:
        tile: which points.
        fours: input channels, in fours.
        outputs: int8 of y from one position to the next.
        low, high: what outputs are held inside of.
    """

    tile: Tile
    fours: int
    outputs: int
    low: int
    high: int

    @property
    def fits(self) -> bool:
        """Whether the assembly's offsets reach six positions of y."""
        return 2 * TILES_TOGETHER * self.outputs <= LARGEST_STEP

    @property
    def halvings(self) -> int:
        """Bits from the denominator's part that is a power of two down to the sum doubled."""
        return (self.tile.denominator & -self.tile.denominator).bit_length() - 2

    @property
    def inverse(self) -> int:
        """Of the denominator's odd part, modulo 2^32."""
        return pow(self.tile.denominator >> (self.halvings + 1), -1, 2**32)

    def function(self, name: str) -> str:
        """Return the C function ``name(stream, v, y)``, as assembly and as a call of the portable form."""
        second = self.tile.second
        return code(
            FUNCTION,
            name=name,
            text=quoted(list(self._assembly())),
            points=len(second),
            fours=self.fours,
            outputs=self.outputs,
            second=", ".join(map(str, second)),
            inverse=self.inverse,
            halvings=self.halvings,
            low=self.low,
            high=self.high,
        )

    def _assembly(self) -> Iterator[str]:
        points = len(self.tile.second)
        frame = SAVED + OF_A_POINT * points
        yield code(ENTRY, frame=frame, saved=SAVED)
        yield "2:"
        turns = self.fours // UNROLLED if self.fours > UNROLLED else 0
        rest = self.fours - turns * UNROLLED
        if turns:
            yield code(TURNS, turns=turns)
            yield from ("3:", f".rept {UNROLLED}", code(STEP), ".endr", code(TURN_END))
        if rest:
            yield from (f".rept {rest}", code(STEP), ".endr")
        yield code(POINT_END, frame=frame)
        if self.inverse != 1:
            yield f"movw r3, #{self.inverse & 0xFFFF}"
            yield f"movt r3, #{self.inverse >> 16}"
        yield from (".irp channel,0,1", "ldmia r12!, {r0-r2}", f".irp tile,{','.join(map(str, range(TILES_TOGETHER)))}")
        yield from self._positions()
        yield from (".endr", ".endr", code(EXIT, frame_and_y=frame + 4))

    @property
    def _sums(self) -> list[str]:
        """Registers of a tile's running sums; the last two become its positions."""
        return [f"r{4 + point}" for point in range(len(self.tile.second))]

    def _positions(self) -> Iterator[str]:
        """Of one tile and channel, to which the assembler puts numbers."""
        *before, infinity = self._sums
        for point, register in enumerate(self._sums):
            yield f"ldr {register}, [sp, #{SAVED + OF_A_POINT * point}+8*\\\\tile+4*\\\\channel]"
        for register, factor in zip(before, self.tile.second, strict=False):
            shift = f", lsl #{abs(factor).bit_length() - 1}" if abs(factor) > 1 else ""
            yield f"{'add' if factor > 0 else 'sub'} {infinity}, {infinity}, {register}{shift}"
        for position, register in enumerate((before[-1], infinity)):
            if self.inverse != 1:
                yield code(DIVIDE, sum=register, halvings=self.halvings)
            yield requantized(register, ("r0", "r1", "r2"), self.low, self.high)
            yield f"strb {register}, [lr, #{self.outputs}*(2*\\\\tile+{position})+\\\\channel]"
