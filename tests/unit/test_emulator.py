"""The emulated microcontroller: exact counts of code whose counts are known, attribution, stack, sizes, refusals."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from device_sim.emulator.cores import CORES, STACK_BYTES
from device_sim.emulator.image import read_image
from device_sim.emulator.instructions import Instruction, Kind
from device_sim.emulator.machine import OTHER, Machine
from device_sim.emulator.meter import Meter
from device_sim.emulator.timing import TIMINGS, block_cycles
from device_sim.emulator.toolchain import build_image
from edgehar.errors import EngineError, MissingExtraError, UsageError

M4 = CORES["cortex_m4f"]
LAPS = 10
SOURCE = f"""
#include <stdint.h>
#include <string.h>

__attribute__((naked)) void laps(void)
{{
    __asm volatile("movs r0, #{LAPS}\\n1: subs r0, #1\\n bne 1b\\n bx lr");
}}

/* loads: the first of a pair takes two cycles, the second one; the conditional move is skipped but takes its cycle */
__attribute__((naked)) uint32_t loads(const uint32_t *x)
{{
    __asm volatile("ldr r1, [r0]\\n ldr r2, [r0, #4]\\n mla r0, r1, r2, r1\\n"
                   "cmp r0, r0\\n it ne\\n movne r0, #0\\n bx lr");
}}

__attribute__((noinline)) static uint32_t helper(uint32_t n)
{{
    volatile uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {{
        sum += i;
    }}
    return sum;
}}

__attribute__((noinline)) uint32_t small(void) {{ return helper(10) + 1; }}
__attribute__((noinline)) uint32_t large(void) {{ return helper(1000) + 1; }}
uint32_t both(void) {{ return small() + large(); }}

uint32_t frame(uint32_t n)
{{
    volatile uint8_t bytes[400];
    for (uint32_t i = 0; i < sizeof bytes; i++) {{
        bytes[i] = (uint8_t)(n + i);
    }}
    return bytes[n];
}}

uint32_t deeper(uint32_t n)
{{
    volatile uint32_t here = n;
    return n == 0 ? 0 : deeper(n - 1) + here;
}}

uint32_t first_value = 7;
uint32_t wild(void) {{ return *(volatile uint32_t *)0x60000000; }}
static const uint8_t table[1000] = {{1, 2, 3}};
static uint8_t buffer[500];
uint32_t sizes(uint32_t i) {{ buffer[i] = table[i]; return buffer[i + 1]; }}
"""
ENTRIES = ("laps", "loads", "both", "frame", "deeper", "wild", "sizes", "first_value")


@pytest.fixture(scope="module")
def image():
    return build_image(M4, {"code.c": SOURCE.encode()}, ENTRIES)


@pytest.fixture
def machine(image):
    return Machine(image, M4, {"small": "small", "large": "large"})


def counted(machine):
    meter = Meter(machine)
    return int(meter.instructions().sum()), int(meter.cycles().sum())


def test_a_loop_is_counted_to_the_instruction(machine):
    machine.call("laps")
    timing = TIMINGS["cortex_m4f"]
    assert counted(machine) == (2 + 2 * LAPS, 2 + 2 * LAPS + (LAPS - 1) * timing.taken)


def test_published_cycles_and_skipped_instructions(machine):
    assert machine.call("loads", machine.image.symbol("first_value") & ~3) != 0
    # ldr 2, ldr 1, mla, cmp, it, movne, bx 1 each
    assert counted(machine) == (7, 2 + 1 + 5)


def test_callees_are_counted_for_the_region_that_calls(machine):
    assert machine.call("both") == 45 + 499500 + 2
    rows = dict(zip(machine.regions, Meter(machine).instructions().tolist(), strict=True))
    assert 30 < rows["small"] < 120
    assert 3000 < rows["large"] < 8000
    assert 0 < rows[OTHER] < 20


def test_the_same_call_costs_the_same_again(machine):
    machine.call("both")
    once = counted(machine)
    machine.counter.clear()
    machine.call("both")
    assert counted(machine) == once


def test_deepest_use_of_the_stack(machine):
    assert machine.stack_bytes == 0
    machine.call("laps")
    assert machine.stack_bytes == 0
    machine.call("frame", 3)
    assert 400 <= machine.stack_bytes <= 432
    machine.call("laps")
    assert machine.stack_bytes >= 400
    with pytest.raises(EngineError, match=rf"\(deeper\+0x\w+\): the stack of {STACK_BYTES} bytes overflowed"):
        machine.call("deeper", STACK_BYTES)


def test_flash_and_ram_come_from_the_sections(image):
    bare = build_image(M4, {"code.c": SOURCE.encode()}, [e for e in ENTRIES if e != "sizes"])
    assert 1000 <= image.flash_bytes - bare.flash_bytes <= 1050
    assert 500 <= image.ram_bytes - bare.ram_bytes <= 508
    assert image.ram_bytes < 600  # the stack is not in it


def test_variables_have_their_first_values(machine):
    assert machine.read("first_value", 4) == (7).to_bytes(4, "little")
    machine.write("first_value", (9).to_bytes(4, "little"))
    assert machine.read("first_value", 4) == (9).to_bytes(4, "little")


def test_faults_say_where(machine):
    with pytest.raises(EngineError, match=r"faulted on Cortex-M4F at 0x\w+ \(wild\+0x"):
        machine.call("wild")
    with pytest.raises(EngineError, match="no symbol 'absent'"):
        machine.call("absent")
    with pytest.raises(ValueError, match="5 arguments"):
        machine.call("laps", 1, 2, 3, 4, 5)
    with pytest.raises(EngineError, match="no function 'absent' to be told apart"):
        Machine(machine.image, M4, {"absent": "absent"})


ADD = Instruction(Kind.ALU, 2, 0, frozenset({1}), frozenset({2}))
USE = Instruction(Kind.ALU, 2, 0, frozenset({2}), frozenset({3}))
LOAD = Instruction(Kind.LOAD, 2, 0, frozenset({1}), frozenset({2}))
MUL = Instruction(Kind.MULTIPLY, 4, 0, frozenset({4}), frozenset({5}))
RETURN = Instruction(Kind.RETURN_MANY, 2, 4)
LDM = Instruction(Kind.LOAD_MANY, 4, 4, frozenset({1}), frozenset({6, 7, 8, 9}))


@pytest.mark.parametrize(
    ("core", "block", "cycles"),
    [
        ("cortex_m4f", [ADD, USE], 2),
        ("cortex_m4f", [LOAD, LOAD, LOAD], 2 + 1 + 1),
        ("cortex_m4f", [LOAD, ADD, LOAD], 2 + 1 + 2),
        ("cortex_m4f", [LDM], 1 + 4),
        ("cortex_m4f", [RETURN], 1 + 4),  # and P for the jump, which is counted where it happens
        ("cortex_m0plus", [LOAD, LOAD], 2 + 2),
        ("cortex_m0plus", [RETURN], 2 + 4),  # 3 + N with the jump
        ("cortex_m7", [ADD, ADD], 2),  # both write register 2
        ("cortex_m7", [ADD, MUL], 1),
        ("cortex_m7", [MUL, MUL], 2),
        ("cortex_m7", [ADD, MUL, ADD, MUL], 2),
        ("cortex_m7", [LOAD, USE], 1 + 2),
        ("cortex_m7", [LDM], 2),
        ("cortex_m33", [ADD, MUL], 2),  # only 16-bit neighbours
        ("cortex_m33", [LOAD, Instruction(Kind.ALU, 2)], 1),
        ("rv32imc", [LOAD, USE], 1 + 2),
    ],
)
def test_cycles_of_blocks(core, block, cycles):
    assert block_cycles(TIMINGS[core], block) == cycles


@pytest.mark.parametrize("name", CORES)
def test_every_core_runs_and_is_timed(name):
    core = CORES[name]
    source = (
        b"#include <stdint.h>\nint64_t q = 1000003; int32_t step(int32_t n) { return (int32_t)(q * n / 7) + n % 9; }"
    )
    machine = Machine(build_image(core, {"code.c": source}, ["step"]), core)
    assert machine.call("step", 91) == 1000003 * 13 + 1
    instructions, cycles = counted(machine)
    assert 10 < instructions < 2000
    assert instructions / 2 <= cycles <= 3 * instructions
    assert set(TIMINGS) == set(CORES)


def test_damaged_images_are_refused(image, tmp_path):
    good = image.path.read_bytes()
    path = tmp_path / "image.elf"
    for data in (b"", b"\x7fELF", bytes(64), b"\x7fELF\x02\x02" + bytes(200), good[:200], good[: len(good) // 2]):
        path.write_bytes(data)
        with pytest.raises(EngineError, match=r"image.elf: "):
            read_image(path)


@pytest.mark.parametrize(
    ("package", "needed"), [("unicorn", "unicorn"), ("capstone", "capstone"), ("elftools", "pyelftools")]
)
def test_missing_packages_name_the_extra(package, needed, image, monkeypatch):
    real_import = builtins.__import__

    def without(module, *arguments, **options):
        if module.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real_import(module, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=rf"{needed}.*edgehar\[firmware\]"):
        Meter(Machine(build_image(M4, {"code.c": SOURCE.encode()}, ENTRIES), M4))


def test_compilers_are_chosen_by_name(monkeypatch):
    with pytest.raises(UsageError, match="no compiler 'tcc'; there are zig, gcc"):
        build_image(M4, {}, [], compiler="tcc")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="arm-none-eabi-gcc is not on this computer; choose the compiler zig"):
        build_image(M4, {}, [], compiler="gcc")
    with pytest.raises(UsageError, match="arm-none-eabi-gcc does not know RV32IMC"):
        build_image(CORES["rv32imc"], {}, [], compiler="gcc")


def test_sources_with_an_error_are_refused_in_one_line():
    with pytest.raises(EngineError, match=r"refuses the C sources: .*error: ") as caught:
        build_image(M4, {"code.c": b"int step(void) { return }"}, ["step"])
    assert "\n" not in str(caught.value)


def test_counts_are_plain_numbers(machine):
    machine.call("both")
    assert Meter(machine).instructions().dtype == np.int64
