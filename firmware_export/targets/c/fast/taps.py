"""The inner function of depthwise convolutions: one channel at a few positions a turn, in Thumb-2 assembly.

Its taps stay in registers, and what two positions of a turn both see is loaded once. Compilers are of two minds about
either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from firmware_export.affine import INT8_MAX, INT8_MIN
from firmware_export.targets.c.fast.two_channels import AT_LEAST, AT_MOST, LARGEST_STEP, quoted
from firmware_export.targets.c.layer import code

MOST_POSITIONS = 4
REGISTERS = ("r0", *(f"r{i}" for i in range(3, 13)))  # beside those of v, y and w: r1, r2, lr
ENOUGH = 3  # registers for numbers of x, from which on one of them counts the turns

FUNCTION = """
/* One channel at @positions@ * groups positions.
 *
 * w: the bias, its taps in pairs, then multiplier, offset and exponent. v: what the first position sees. y: its output.
 */
#if @assembly@
HAR_NAKED static void @name@(HAR_UNUSED const int32_t *w, HAR_UNUSED const int16_t *v, HAR_UNUSED int8_t *y,
    HAR_UNUSED int groups)
{
    __asm__ volatile(
        @text@
    );
}
#else
static void @name@(const int32_t *w, const int16_t *v, int8_t *y, int groups)
{
    while (groups-- > 0) {
        int32_t sums[4] = {w[0], w[0], w[0], w[0]};
        har_add_taps(sums, w + 1, v, @pairs@, @stride@);
        @results@
        v += @seen@;
        y += @made@;
    }
}
#endif
"""


def positions_of_a_turn(steps: int, pairs: int) -> int:
    """Return how many positions a turn has: few are computed twice, and registers reach."""
    most = min(MOST_POSITIONS, steps, max(len(REGISTERS) - pairs - 1, 1))
    return min(range(most, 0, -1), key=lambda n: -(-steps // n) * (n + 1))


@dataclass(frozen=True)
class Taps:
    """What the function's text depends on.

    Attributes:
        pairs: of taps.
        stride: int16 of v from one position to the next.
        channels: int8 of y from one position to the next.
        low, high: what outputs are held inside of.
        positions: of a turn.
    """

    pairs: int
    stride: int
    channels: int
    low: int
    high: int
    positions: int

    @property
    def in_assembly(self) -> bool:
        """Whether registers and offsets reach."""
        reach = 2 * self.stride * self.positions + 4 * self.pairs
        return self._free > 0 and max(reach, self.channels * self.positions) <= LARGEST_STEP

    @property
    def _free(self) -> int:
        return len(REGISTERS) - self.pairs - self.positions

    def function(self, name: str) -> str:
        """Return the C function ``name(w, v, y, groups)``, as assembly and in C."""
        last = self.pairs + 1
        results = [
            f"y[{self.channels * i}] = har_requantize(sums[{i}], w[{last}], w[{last + 1}], w[{last + 2}], {self.low}, "
            f"{self.high});"
            for i in range(self.positions)
        ]
        return code(
            FUNCTION,
            name=name,
            assembly="HAR_DSP" if self.in_assembly else "0",
            text=quoted(list(self._assembly())) if self.in_assembly else '""',
            results="\n".join(results),
            seen=self.stride * self.positions,
            made=self.channels * self.positions,
            **vars(self),
        )

    def _assembly(self) -> Iterator[str]:
        free, sums = list(REGISTERS[: self._free]), REGISTERS[self._free : self._free + self.positions]
        taps = REGISTERS[self._free + self.positions :]
        counter = free.pop() if len(free) >= ENOUGH else None
        yield from ("push {r3-r11, lr}", "mov lr, r0")
        if self.pairs > 1:
            yield from ("add r0, lr, #4", f"ldmia r0, {{{', '.join(taps)}}}")
        else:  # a list of one is no instruction
            yield f"ldr {taps[0]}, [lr, #4]"
        if counter and counter != "r3":
            yield f"mov {counter}, r3"
        yield "1:"
        yield from (f"ldr {s}, [lr]" for s in sums)
        yield from self._products(free, sums, taps)
        yield from self._results(free, sums)
        yield f"add r1, r1, #{2 * self.stride * self.positions}"
        yield f"add r2, r2, #{self.channels * self.positions}"
        if counter:
            yield f"subs {counter}, {counter}, #1"
        else:
            yield from ("ldr r0, [sp]", "subs r0, r0, #1", "str r0, [sp]")
        yield from ("bne.w 1b", "pop {r3-r11, pc}")

    def _products(self, free: list[str], sums: tuple[str, ...], taps: tuple[str, ...]) -> Iterator[str]:
        users: dict[int, list[tuple[int, int]]] = {}  # offset in v: positions that see it, each with what tap
        for position in range(self.positions):
            for tap in range(self.pairs):
                users.setdefault(2 * (self.stride * position + 2 * tap), []).append((position, tap))
        offsets = sorted(users)
        for start in range(0, len(offsets), len(free)):
            some = dict(zip(offsets[start : start + len(free)], free, strict=False))
            yield from (f"ldr {register}, [r1, #{offset}]" for offset, register in some.items())
            for offset, register in some.items():
                for position, tap in users[offset]:
                    yield f"smlad {sums[position]}, {taps[tap]}, {register}, {sums[position]}"

    def _results(self, free: list[str], sums: tuple[str, ...]) -> Iterator[str]:
        """As ``har_requantize``, all positions side by side; a factor is loaded once."""
        factor, last = free[0], 4 * (self.pairs + 1)
        yield f"ldr {factor}, [lr, #{last}]"
        yield from (f"smmulr {s}, {s}, {factor}" for s in sums)
        yield from (f"add {s}, {s}, {s}, asr #31" for s in sums)
        yield f"ldr {factor}, [lr, #{last + 4}]"
        yield from (f"add {s}, {s}, {factor}" for s in sums)
        yield f"ldr {factor}, [lr, #{last + 8}]"
        for position, s in enumerate(sums):
            yield from (f"asr {s}, {s}, {factor}", f"ssat {s}, #8, {s}")
            if self.low > INT8_MIN:
                yield code(AT_LEAST, sum=s, low=self.low)
            if self.high < INT8_MAX:
                yield code(AT_MOST, sum=s, high=self.high)
            yield f"strb {s}, [r2, #{self.channels * position}]"
