"""The inner function of convolutions: two output channels at four positions a turn, in MVE assembly.

``vmladava`` adds 16 products to a general register of even number, and there are eight: two channels at four positions.
The odd ones hold addresses. Vectors: q0 to q3 x at four positions, q4 and q5 weights, q6 where outputs go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firmware_export.affine import INT8_MAX, INT8_MIN
from firmware_export.targets.c.layer import code
from firmware_export.targets.c.mve.rows import LANES

POSITIONS = 4
LARGEST_STEP = 4095  # bytes, of ADD and SUB
LARGEST_CONSTANT = 65535  # of MOVW
LARGEST_MOVE = 127  # bytes, of VLDRB with writeback
LONGEST_STRING = 4000  # characters, of C99's 4095
UNROLLED = 12  # steps of 16 products of each sum
SUMS = (("r0", "r2", "r4", "r6"), ("r8", "r10", "r12", "lr"))  # of either channel at the four positions

FUNCTION = """
#if HAR_MVE
/* Two channels at 4 * groups positions: weight, last, x and y as of har_mve_two_channels. */
HAR_NAKED static void @name@(HAR_UNUSED const int8_t *weight, HAR_UNUSED const int32_t *last,
    HAR_UNUSED const int8_t *x, HAR_UNUSED int8_t *y, HAR_UNUSED int groups)
{
    @text@
}
#else
static void @name@(const int8_t *weight, const int32_t *last, const int8_t *x, int8_t *y, int groups)
{
    har_mve_two_channels(weight, last, x, y, groups, @products@, @taps@, @channels@, @stride@, @outputs@,
                         @zero@, @low@, @high@);
}
#endif
"""
# On the stack: d8 to d15, weight, last, groups, y, then the caller's registers. q6: of 2 * t + channel, how far it is.
ENTRY = """
push {r0-r11, lr}
vpush {d8-d15}
ldr r4, [sp, #116]
str r4, [sp, #72]
mov r1, r0
mov r3, r2
@end@
movs r0, #0
vidup.u16 q0, r0, #1
vshr.u16 q1, q0, #1
movw r2, #@outputs@
vmul.i16 q1, q1, r2
vmov.i16 q2, #1
vand q2, q2, q0
vadd.i16 q6, q1, q2
@predicate@
1:
"""
REQUANTIZE = """
vmov q0[2], q0[0], r0, r4
vmov q0[3], q0[1], r2, r6
vmov q1[2], q1[0], r8, r12
vmov q1[3], q1[1], r10, lr
ldr r0, [sp, #68]
ldm r0, {r2, r4, r6, r8, r10, r12}
vadd.i32 q0, q0, r2
vadd.i32 q1, q1, r4
vqrdmulh.s32 q0, q0, r6
vqrdmulh.s32 q1, q1, r8
vshr.s32 q2, q0, #31
vshr.s32 q3, q1, #31
vadd.i32 q0, q0, q2
vadd.i32 q1, q1, q3
vrshl.s32 q0, r10
vrshl.s32 q1, r12
vqmovnb.s32 q0, q0
vqmovnt.s32 q0, q1
@zero@
@low@
@high@
vqmovnb.s16 q0, q0
ldrd r0, r2, [sp, #72]
vstrb.16 q0, [r2, q6]
add r2, r2, #@outputs_of_four@
subs r0, r0, #1
strd r0, r2, [sp, #72]
@next@
ldr r1, [sp, #64]
bne.w 1b
vpop {d8-d15}
add sp, #16
pop {r4-r11, pc}
"""


@dataclass(frozen=True)
class TwoByFour:
    """What the function's text depends on.

    Attributes:
        products: of a sum.
        taps: that a vector of 16 channels is moved over; 1: products are consecutive.
        channels: bytes from one tap to the next.
        stride: bytes of x from one position to the next.
        outputs: bytes of y from one position to the next.
        zero, low, high: what is added to outputs, and what they are held inside of.
    """

    products: int
    taps: int
    channels: int
    stride: int
    outputs: int
    zero: int
    low: int
    high: int

    @property
    def steps(self) -> int:
        """Of 16 products of each sum."""
        return -(-self.products // LANES)

    @property
    def weight_bytes(self) -> int:
        """Of both channels."""
        return 2 * LANES * self.steps

    @property
    def fits(self) -> bool:
        """Whether the assembly's offsets reach four positions of x and of y."""
        steps = POSITIONS * self.stride, POSITIONS * self.outputs, (self.taps + 3) * self.channels, self._advance
        return max(map(abs, steps)) <= LARGEST_STEP and self.weight_bytes <= LARGEST_CONSTANT

    def function(self, name: str) -> str:
        """Return the C function ``name(weight, last, x, y, groups)``, as assembly and as call of the portable form."""
        return code(FUNCTION, name=name, text="\n".join(map(_statement, self._parts())), **vars(self))

    def _parts(self) -> Iterator[list[str]]:
        """Stretches of the assembly that are short enough for a string literal of C99."""
        part: list[str] = []
        for line in "\n".join(self._assembly()).splitlines():
            if sum(map(len, part)) + 2 * len(part) + len(line) > LONGEST_STRING:
                yield part
                part = []
            part.append(line)
        yield part

    def _assembly(self) -> list[str]:
        rest = self.products % LANES
        looped = self.steps > UNROLLED
        entry = code(
            ENTRY,
            end=f"movw r11, #{self._looped_bytes}\nadd r11, r11, r0" if looped else "",
            outputs=self.outputs,
            predicate=f"movs r0, #{rest}\nvctp.8 r0" if rest else "",
        )
        steps = list(self._sliding() if self.taps > 1 else self._consecutive())
        last = code(
            REQUANTIZE,
            zero=f"{_half_words('q2', self.zero)}\nvqadd.s16 q0, q0, q2" if self.zero else "",
            low=f"{_half_words('q2', self.low)}\nvmax.s16 q0, q0, q2" if self.low > INT8_MIN else "",
            high=f"{_half_words('q2', self.high)}\nvmin.s16 q0, q0, q2" if self.high < INT8_MAX else "",
            outputs_of_four=POSITIONS * self.outputs,
            next=_moved("r3", "r3", self._advance) if self._advance else "",
        )
        return [entry, *steps, last]

    @property
    def _advance(self) -> int:
        """Bytes from where the first position's address has come to, to where it begins in the next turn."""
        return POSITIONS * self.stride - (self.channels if self.taps > 1 else LANES * self.steps)

    @property
    def _turns(self) -> tuple[int, int]:
        """How often the loop runs, and how many steps it has; of what is left, the last step may be half empty."""
        if self.taps > 1:
            return self.channels // LANES, self.taps
        whole = self.products // LANES
        size = max(n for n in range(1, UNROLLED // 2 + 1) if n == 1 or whole % n <= 2)
        return whole // size, size

    @property
    def _looped_bytes(self) -> int:
        turns, size = self._turns
        return 2 * LANES * turns * size

    def _consecutive(self) -> Iterator[str]:
        """Four addresses, each of them moved by a step."""
        yield from (_moved(f"r{5 + 2 * i}", f"r{3 + 2 * i}", self.stride) for i in range(POSITIONS - 1))
        whole, rest = divmod(self.products, LANES)
        first = 0
        if self.steps > UNROLLED:
            turns, size = self._turns
            yield from (f"mov {register}, #0" for both in SUMS for register in both)
            yield "2:"
            yield from _repeated(size)
            yield "cmp r1, r11\nbne.w 2b"
            first = turns * size
        elif whole:
            yield from _step(first=True)
            first = 1
        yield from _repeated(whole - first)
        if rest:
            yield from _step(first=whole == 0, predicated=True)

    def _sliding(self) -> Iterator[str]:
        """One address; three of a tap's four vectors are those of the tap before."""
        blocks, looped = self.channels // LANES, self.steps > UNROLLED
        if looped:
            yield from (f"mov {register}, #0" for both in SUMS for register in both)
            yield "2:"
        for block in range(1 if looped else blocks):
            for row in range(POSITIONS - 1):
                yield self._row(row)
            for tap in range(self.taps):
                yield self._row(tap + POSITIONS - 1)
                yield "vldrb.u8 q4, [r1], #16\nvldrb.u8 q5, [r1], #16"
                for channel in (0, 1):
                    for position in range(POSITIONS):
                        vectors = f"q{4 + channel}, q{(tap + position) % POSITIONS}"
                        yield _products(channel, position, vectors, first=not looped and block + tap == 0)
            yield _moved("r3", "r3", LANES - (self.taps + POSITIONS - 1) * self.channels)
        if looped:
            yield "cmp r1, r11\nbne.w 2b"

    def _row(self, row: int) -> str:
        vector = f"q{row % POSITIONS}"
        if self.channels <= LARGEST_MOVE:
            return f"vldrb.u8 {vector}, [r3], #{self.channels}"
        return f"vldrb.u8 {vector}, [r3]\n{_moved('r3', 'r3', self.channels)}"


def _statement(lines: Sequence[str]) -> str:
    text = "\n".join(f'    "{line}\\n"' for line in lines)
    return f"__asm__ volatile(\n{text}\n);"


def _repeated(count: int) -> Iterator[str]:
    if count:
        yield f".rept {count}"
        yield from _step(first=False)
        yield ".endr"


def _step(*, first: bool, predicated: bool = False) -> Iterator[str]:
    yield "vldrb.u8 q4, [r1], #16\nvldrb.u8 q5, [r1], #16"
    if predicated:
        yield "vpstttt"
    kind = "vldrbt.u8" if predicated else "vldrb.u8"
    yield from (f"{kind} q{i}, [r{3 + 2 * i}], #16" for i in range(POSITIONS))
    for channel in (0, 1):
        for position in range(POSITIONS):
            yield _products(channel, position, f"q{4 + channel}, q{position}", first=first)


def _products(channel: int, position: int, vectors: str, *, first: bool) -> str:
    return f"{'vmladav' if first else 'vmladava'}.s8 {SUMS[channel][position]}, {vectors}"


def _moved(to: str, register: str, count: int) -> str:
    return f"{'addw' if count >= 0 else 'subw'} {to}, {register}, #{abs(count)}"


def _half_words(vector: str, number: int) -> str:
    """Eight times the same int16."""
    return f"vmov.i16 {vector}, #{number}" if number >= 0 else f"vmvn.i16 {vector}, #{-1 - number}"
