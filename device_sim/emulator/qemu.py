"""A second opinion: the same network on QEMU, which counts instructions by its virtual clock; and Cortex-M55 at all.

QEMU is no Python package; Debian's is ``qemu-system-arm``. With ``-icount shift=0`` an instruction takes a nanosecond,
so the system timer of the emulated board tells how many have run, to the length of its tick.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.emulator.cores import CORES, MEMORY, Architecture, Core, Memory
from device_sim.emulator.profile import STEP, NetworkSources, main_source
from device_sim.emulator.toolchain import build_image
from edgehar.c_pipeline import pieces_of
from edgehar.errors import EngineError, UsageError

QEMU = "qemu-system-arm"
SECONDS = 300
MAIN = "image_alone"

CORTEX_M55 = Core(
    "cortex_m55",
    "Cortex-M55",
    Architecture.ARM,
    ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m55+mve_fp+dsp", "-mfloat-abi=hard"),
    ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
    "",
)


@dataclass(frozen=True)
class QemuMachine:
    """A board that QEMU emulates.

    Attributes:
        name: of QEMU's ``-machine``.
        core: on it.
        memory: where its RAM lies.
        clock_hz: of its processor, which drives the system timer.
    """

    name: str
    core: Core
    memory: Memory
    clock_hz: float

    @property
    def tick(self) -> float:
        """Instructions that pass while the timer counts one."""
        return 1e9 / self.clock_hz


MACHINES: dict[str, QemuMachine] = {
    "cortex_m4f": QemuMachine("mps2-an386", CORES["cortex_m4f"], MEMORY, 25e6),
    "cortex_m7": QemuMachine("mps2-an500", CORES["cortex_m7"], MEMORY, 25e6),
    # secure addresses: the core starts in secure state
    "cortex_m55": QemuMachine("mps3-an547", CORTEX_M55, Memory(0x1000_0000, 0x3000_0000, 512 << 10), 32e6),
}


@dataclass(frozen=True, eq=False)
class QemuCount:
    """What QEMU says of a network, per decision.

    Attributes:
        machine: it ran on.
        instructions: mean over the windows; each is known to one tick of the timer.
        outputs: of each output ``[N, bytes]`` int8.
    """

    machine: QemuMachine
    instructions: float
    outputs: tuple[NDArray[np.int8], ...]


def qemu_missing() -> str | None:
    """Return what to do where QEMU is not installed, None where it is."""
    if shutil.which(QEMU) is not None:
        return None
    return f"{QEMU} is not on this computer; on Debian: apt-get install {QEMU}"


def count_on_qemu(
    network: NetworkSources,
    windows: Sequence[NDArray[np.int8]],
    core: str,
    compiler: str = "zig",
    optimise: Sequence[str] = (),
) -> QemuCount:
    """Run a network over windows on QEMU.

    Args:
        network: in C.
        windows: ``[N, ...]`` int8 of each input.
        core: key of ``MACHINES``.
        compiler: ``zig`` or ``gcc``.
        optimise: compiler flags that replace the usual ones.

    Raises:
        UsageError: QEMU is not installed, or there is no board with that core.
        EngineError: the image does not run to its end.
    """
    machine = MACHINES.get(core)
    if machine is None:
        raise UsageError(f"no QEMU board with the core {core!r}; there are {', '.join(MACHINES)}")
    if missing := qemu_missing():
        raise UsageError(missing)
    runs = [list(pieces_of(network.streaming, window)) for window in zip(*windows, strict=True)]
    given = [np.stack(each) for each in zip(*(piece for window in runs for piece in window), strict=True)]
    files = {**network.files, "image_main.c": main_source(network), "image_alone.c": _alone(network, given)}
    flags = (*optimise, f"-DIMAGE_MAIN={MAIN}")
    image = build_image(machine.core, files, [MAIN, STEP], compiler, flags, memory=machine.memory)
    command = [
        QEMU,
        "-machine",
        machine.name,
        "-nographic",
        "-icount",
        "shift=0",
        "-monitor",
        "none",
        "-serial",
        "none",
    ]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(image.path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise EngineError(f"{QEMU} {machine.name} did not end within {SECONDS} s") from None
    try:
        rows = json.loads(done.stderr.decode("ascii"))
        rows = rows[len(runs[0]) - 1 :: len(runs[0])]  # of a network that streams, the last hop of each window
        ticks = [row.pop(0) for row in rows]
        table = np.array(rows, np.int8)
    except (UnicodeDecodeError, ValueError, IndexError, AttributeError, OverflowError):
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[:300]
        raise EngineError(f"{QEMU} {machine.name} ran the image but it did not end as it should: {said}") from None
    edges = np.cumsum(network.output_bytes)[:-1]
    return QemuCount(machine, float(np.mean(ticks)) * machine.tick, tuple(np.split(table, edges, axis=1)))


def _alone(network: NetworkSources, windows: Sequence[NDArray[np.int8]]) -> bytes:
    """A program that runs the windows in it and tells timer ticks and outputs by semihosting, as JSON."""
    count = len(windows[0])
    inputs = range(len(network.input_bytes))
    declared = [f"extern int8_t image_in{i}[{size}];" for i, size in enumerate(network.input_bytes)]
    declared += [f"extern int8_t image_out{i}[{size}];" for i, size in enumerate(network.output_bytes)]
    tables = [
        f"static const int8_t windows{i}[{count}][{network.input_bytes[i]}] = {{{_rows(windows[i], count)}}};"
        for i in inputs
    ]
    copies = "\n".join(f"        memcpy(image_in{i}, windows{i}[n], sizeof image_in{i});" for i in inputs)
    prints = "\n".join(
        f'        for (int i = 0; i < {size}; i++) {{ put(","); number(image_out{i}[i]); }}'
        for i, size in enumerate(network.output_bytes)
    )
    lines = "\n".join([*declared, *tables])
    return f"""#include <stdint.h>
#include <string.h>

void {STEP}(void);
{lines}

#define SYST ((volatile uint32_t *)0xE000E010U) /* control, reload, value */

static int semihost(int operation, const void *argument)
{{
    register int r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}}

static uint32_t errors; /* handle of standard error */

static void put(const char *text)
{{
    const uint32_t block[3] = {{errors, (uint32_t)(uintptr_t)text, (uint32_t)strlen(text)}};
    semihost(5, block);
}}

static void number(int32_t n)
{{
    char text[12];
    char *at = text + sizeof text - 1;
    uint32_t rest = n < 0 ? 0U - (uint32_t)n : (uint32_t)n;
    *at = 0;
    do {{
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    }} while (rest);
    if (n < 0) {{
        *--at = '-';
    }}
    put(at);
}}

void {MAIN}(void)
{{
    const uint32_t console[3] = {{(uint32_t)(uintptr_t)":tt", 8, 3}}; /* opened for appending: standard error */
    errors = (uint32_t)semihost(1, console);
    SYST[1] = 0xFFFFFF;
    put("[");
    for (int n = 0; n < {count}; n++) {{
{copies}
        SYST[2] = 0;
        SYST[0] = 5;
        const uint32_t before = SYST[2];
        {STEP}();
        const uint32_t after = SYST[2];
        put(n ? ",[" : "[");
        number((int32_t)((before - after) & 0xFFFFFF));
{prints}
        put("]");
    }}
    put("]");
    const uint32_t stopped[2] = {{0x20026, 0}};
    semihost(0x18, (const void *)(uintptr_t)stopped[0]);
}}
""".encode()


def _rows(windows: NDArray[np.int8], count: int) -> str:
    flat = windows.reshape(count, -1)
    return ",\n".join("{" + ",".join(map(str, row)) + "}" for row in flat.tolist())
