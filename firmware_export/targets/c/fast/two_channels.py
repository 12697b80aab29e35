"""The inner function of convolutions: two output channels at three positions a turn, in Thumb-2 assembly.

Six sums, two words of x and four of weights fill the fourteen registers; a step of four products a sum is four loads
and twelve ``smlad``. Weights are doubled int16 in the order of use, so that one ``ldmia`` brings a step's.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_export.affine import INT8_MAX, INT8_MIN
from firmware_export.targets.c.layer import code

LARGEST_OFFSET = 1020  # bytes, of LDRD
LARGEST_STEP = 4095  # bytes, of STRB and ADD
UNROLLED = 10  # steps of four products
SUMS = range(6, 12)  # registers: two channels of the first, the second and the third position

FUNCTION = """
#if HAR_DSP
/* Two channels at 3 * groups positions: stream, x and y as of har_two_channels. */
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
    har_two_channels(stream, x, y, groups, @fours@, @stride@, @outputs@, @low@, @high@);
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
mov r8, r6
mov r9, r7
mov r10, r6
mov r11, r7
"""
STEP = """
ldmia r12!, {r2-r5}
ldrd r0, r1, [lr, #@third@]
smlad r10, r2, r0, r10
smlad r11, r4, r0, r11
smlad r10, r3, r1, r10
smlad r11, r5, r1, r11
ldrd r0, r1, [lr, #@second@]
smlad r8, r2, r0, r8
smlad r9, r4, r0, r9
smlad r8, r3, r1, r8
smlad r9, r5, r1, r9
ldrd r0, r1, [lr], #8
smlad r6, r2, r0, r6
smlad r7, r4, r0, r7
smlad r6, r3, r1, r6
smlad r7, r5, r1, r7
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
add r12, r12, #@outputs_of_three@
str r12, [sp, #12]
ldr lr, [sp, #8]
add lr, lr, #@three@
str lr, [sp, #8]
ldr lr, [sp, #16]
subs lr, lr, #1
str lr, [sp, #16]
bne.w 1b
add sp, #20
pop {r4-r11, pc}
"""


@dataclass(frozen=True)
class TwoChannels:
    """What the function's text depends on.

    Attributes:
        fours: products of a sum, in fours.
        stride: int16 of x from one position to the next.
        outputs: int8 of y from one position to the next.
        low, high: what outputs are held inside of.
    """

    fours: int
    stride: int
    outputs: int
    low: int
    high: int

    @property
    def fits(self) -> bool:
        """Whether the assembly's offsets reach three positions of x and of y."""
        return self.stride % 2 == 0 and 4 * self.stride <= LARGEST_OFFSET and 3 * self.outputs <= LARGEST_STEP

    def function(self, name: str) -> str:
        """Return the C function ``name(stream, x, y, groups)``, as assembly and as a call of the portable form."""
        text = "\n".join(f'"{line}\\n"' for line in "\n".join(self._assembly()).splitlines())
        return code(FUNCTION, name=name, text=text, **vars(self))

    def _assembly(self) -> list[str]:
        turns = self.fours // UNROLLED if self.fours > UNROLLED + 2 else 0
        rest = self.fours - turns * UNROLLED
        step = code(STEP, third=4 * self.stride, second=2 * self.stride)
        lines = [code(ENTRY, looped=8 + 16 * UNROLLED * turns)]
        if turns:
            lines += ["2:", f".rept {UNROLLED}", step, ".endr", code(TURN_END)]
        if rest:
            lines += [f".rept {rest}", step, ".endr"]
        lines.append("ldmia r12, {r0-r5}")
        for i in SUMS:
            multiplier, offset, exponent = ("r0", "r1", "r2") if i % 2 == 0 else ("r3", "r4", "r5")
            lines.append(code(REQUANTIZE, sum=f"r{i}", multiplier=multiplier, offset=offset, exponent=exponent))
            if self.low > INT8_MIN:
                lines.append(code(AT_LEAST, sum=f"r{i}", low=self.low))
            if self.high < INT8_MAX:
                lines.append(code(AT_MOST, sum=f"r{i}", high=self.high))
        lines.append("ldr r12, [sp, #12]")
        lines += [f"strb r{i}, [r12, #{self.outputs * (i // 2 - 3) + i % 2}]" for i in SUMS]
        return [*lines, code(EXIT, outputs_of_three=3 * self.outputs, three=6 * self.stride)]
