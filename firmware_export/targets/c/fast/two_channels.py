"""The inner function of convolutions: two output channels at three positions a turn, in Thumb-2 assembly.

Six sums, two words of x and four of weights fill the fourteen registers; a step of four products a sum is four loads
and twelve ``smlad``. Layers of few positions have two or one a turn: three loads and eight ``smlad``, or two and four.
Weights are doubled int16 in the order of use, so that one ``ldmia`` brings a step's; or int8, of which ``sxtb16`` makes
int16 (``har_packed.h``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firmware_export.affine import INT8_MAX, INT8_MIN
from firmware_export.targets.c.fast.doubled import WeightBits
from firmware_export.targets.c.layer import code

LARGEST_OFFSET = 1020  # bytes, of LDRD
LARGEST_STEP = 4095  # bytes, of STRB and ADD
UNROLLED = 10  # steps of four products
FIRST_SUM = 6  # register: two channels of the first, then of the second, then of the third position

FUNCTION = """
#if HAR_DSP
/* Two channels at @positions@ * groups positions: stream, x and y as of @portable@. */
HAR_NAKED static void @name@(HAR_UNUSED const int32_t *stream, HAR_UNUSED const int16_t *x,
    HAR_UNUSED int8_t *y, HAR_UNUSED int groups)
{
    __asm__ volatile(
        @text@
    );
}
#else
static void @name@(const int32_t *stream, const int16_t *x, int8_t *y, int groups)
{
    @portable@(stream, x, y, @count@, @fours@, @stride@, @outputs@, @low@, @high@);
}
#endif
"""
# On the stack: end of the unrolled turns, stream, x, y, groups, then the caller's registers.
ENTRY = """
push {r0-r11, lr}
sub sp, #4
movw r12, #@looped@
add r12, r12, r0
str r12, [sp]
1:
ldr r12, [sp, #4]
ldr lr, [sp, #8]
ldmia r12!, {r6, r7}
@copies@
"""
WEIGHTS = """
ldmia r12!, {r2-r5}
"""
PACKED_WEIGHTS = """
ldrd r2, r4, [r12], #8
sxtb16 r3, r2, ror #8
sxtb16 r2, r2
sxtb16 r5, r4, ror #8
sxtb16 r4, r4
"""
POSITION = """
ldrd r0, r1, @x@
smlad @first@, r2, r0, @first@
smlad @second@, r4, r0, @second@
smlad @first@, r3, r1, @first@
smlad @second@, r5, r1, @second@
"""
TURN_END = """
ldr r0, [sp]
cmp r12, r0
bne.w 2b
"""
REQUANTIZE = """
smmulr @sum@, @sum@, @multiplier@
add @sum@, @sum@, @sum@, asr #31
add @sum@, @sum@, @offset@
asr @sum@, @sum@, @exponent@
ssat @sum@, #8, @sum@
"""
AT_LEAST = """
cmp @sum@, #@low@
it lt
movlt @sum@, #@low@
"""
AT_MOST = """
cmp @sum@, #@high@
it gt
movgt @sum@, #@high@
"""
EXIT = """
add r12, r12, #@outputs_of_turn@
str r12, [sp, #12]
ldr lr, [sp, #8]
add lr, lr, #@turn@
str lr, [sp, #8]
ldr lr, [sp, #16]
subs lr, lr, #1
str lr, [sp, #16]
bne.w 1b
add sp, #20
pop {r4-r11, pc}
"""


def quoted(lines: Sequence[str]) -> str:
    """Return lines of assembly as C strings."""
    return "\n".join(f'"{line}\\n"' for line in "\n".join(lines).splitlines())


def requantized(register: str, factors: tuple[str, str, str], low: int, high: int) -> str:
    """Return the assembly of ``har_requantize`` in place; factors: registers of multiplier, offset and exponent."""
    multiplier, offset, exponent = factors
    lines = [code(REQUANTIZE, sum=register, multiplier=multiplier, offset=offset, exponent=exponent)]
    if low > INT8_MIN:
        lines.append(code(AT_LEAST, sum=register, low=low))
    if high < INT8_MAX:
        lines.append(code(AT_MOST, sum=register, high=high))
    return "\n".join(lines)


@dataclass(frozen=True)
class TwoChannels:
    """What the function's text depends on.

    Attributes:
        fours: products of a sum, in fours.
        stride: int16 of x from one position to the next.
        outputs: int8 of y from one position to the next.
        low, high: what outputs are held inside of.
        positions: of a turn, 1 to 3.
        bits: of a weight.
    """

    fours: int
    stride: int
    outputs: int
    low: int
    high: int
    positions: int = 3
    bits: WeightBits = WeightBits.INT16

    @property
    def fits(self) -> bool:
        """Whether the assembly's offsets reach a turn's positions of x and of y."""
        reach = 2 * (self.positions - 1) * self.stride
        return self.stride % 2 == 0 and reach <= LARGEST_OFFSET and self.positions * self.outputs <= LARGEST_STEP

    @property
    def headers(self) -> tuple[str, ...]:
        """Of ``runtime``, where the portable form is."""
        header = {"har_two_channels": (), "har_few_positions": ("har_few_positions.h",)}
        return ("har_dsp.h", *header.get(self._portable, ("har_packed.h",)))

    @property
    def _portable(self) -> str:
        if self.bits is WeightBits.INT8:
            return "har_two_channels_packed"
        return "har_two_channels" if self.positions == 3 else "har_few_positions"

    def function(self, name: str) -> str:
        """Return the C function ``name(stream, x, y, groups)``, as assembly and as a call of the portable form."""
        count = "groups" if self._portable == "har_two_channels" else f"{self.positions} * groups"
        text = quoted(self._assembly())
        return code(FUNCTION, name=name, text=text, portable=self._portable, count=count, **vars(self))

    def _assembly(self) -> list[str]:
        turns = self.fours // UNROLLED if self.fours > UNROLLED + 2 else 0
        rest = self.fours - turns * UNROLLED
        sums = range(FIRST_SUM, FIRST_SUM + 2 * self.positions)
        copies = "\n".join(f"mov r{i}, r{FIRST_SUM + i % 2}" for i in sums[2:])
        weights = code(WEIGHTS if self.bits is WeightBits.INT16 else PACKED_WEIGHTS)
        step = "\n".join([weights, *(self._position(index) for index in reversed(range(self.positions)))])
        lines = [code(ENTRY, looped=8 + self.bits * UNROLLED * turns, copies=copies)]
        if turns:
            lines += ["2:", f".rept {UNROLLED}", step, ".endr", code(TURN_END)]
        if rest:
            lines += [f".rept {rest}", step, ".endr"]
        lines.append("ldmia r12, {r0-r5}")
        for i in sums:
            multiplier, offset, exponent = ("r0", "r1", "r2") if i % 2 == 0 else ("r3", "r4", "r5")
            if self.bits is WeightBits.INT8:
                lines.append(f"lsl r{i}, r{i}, #1")
            lines.append(requantized(f"r{i}", (multiplier, offset, exponent), self.low, self.high))
        lines.append("ldr r12, [sp, #12]")
        lines += [f"strb r{i}, [r12, #{self.outputs * (i // 2 - 3) + i % 2}]" for i in sums]
        turn = 2 * self.positions * self.stride
        return [*lines, code(EXIT, outputs_of_turn=self.positions * self.outputs, turn=turn)]

    def _position(self, index: int) -> str:
        """A step of one position of the turn; the first, which comes last, moves on."""
        x = f"[lr, #{2 * index * self.stride}]" if index else "[lr], #8"
        first = FIRST_SUM + 2 * index
        return code(POSITION, x=x, first=f"r{first}", second=f"r{first + 1}")
