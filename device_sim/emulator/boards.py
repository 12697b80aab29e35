"""Boards: clock, memory, what flash costs in time, and what running costs in current. Sources: ``docs/emulator.md``.

Time and energy made of this are modelled. A current that no page we could read states is marked as not verified, and
so is every figure made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from device_sim.emulator.cores import CORES, Core
from edgehar.errors import UsageError

CR2032_MAH = 225.0  # nominal, of the makers' data sheets at a load of some 0.2 mA; a pulse of many mA yields less
CR2032_V = 3.0
HOURS_PER_DAY = 24


@dataclass(frozen=True)
class Current:
    """What a board draws while its processor computes.

    Attributes:
        active_ma: at the board's clock, code in flash, radio off.
        supply_v: at which voltage.
        source: of the figure.
        verified: whether the source was read for this table; otherwise it is from memory and to be checked.
    """

    active_ma: float
    supply_v: float
    source: str
    verified: bool

    @property
    def active_mw(self) -> float:
        """Power while computing."""
        return self.active_ma * self.supply_v


@dataclass(frozen=True)
class Board:
    """One board.

    Attributes:
        name: key in ``BOARDS``.
        label: for people.
        core: key in ``CORES``.
        clock_hz: of the processor, as the board runs it.
        flash_bytes, ram_bytes: what there is; of several RAM blocks, the sum.
        wait_states: of the flash at this clock, before any cache; None where it is outside (QSPI) or nobody says.
        flash_factor: cycles with code in this flash over cycles without wait states: the core's own CoreMark/MHz
            over the chip's from flash, both as published.
        flash_note: what hides the wait states.
        current: while computing.
    """

    name: str
    label: str
    core: str
    clock_hz: float
    flash_bytes: int
    ram_bytes: int
    wait_states: int | None
    flash_factor: float
    flash_note: str
    current: Current

    @property
    def processor(self) -> Core:
        """The core itself."""
        return CORES[self.core]

    def latency_ms(self, cycles: float) -> float:
        """Return how long so many cycles of the core take here, flash included."""
        return 1000 * cycles * self.flash_factor / self.clock_hz

    def energy_uj(self, cycles: float) -> float:
        """Return what so many cycles of the core cost here: power while computing times their time."""
        return self.latency_ms(cycles) * self.current.active_mw


KIB, MIB = 1 << 10, 1 << 20

BOARDS: dict[str, Board] = {
    "nucleo_l4r5zi": Board(
        "nucleo_l4r5zi",
        "NUCLEO-L4R5ZI (STM32L4R5ZI)",
        "cortex_m4f",
        120e6,
        2 * MIB,
        640 * KIB,
        5,
        1.0,
        "behind ST's ART cache; CoreMark/MHz is the core's own",
        Current(13.9, 3.3, "MLPerf Tiny streaming wakeword on this board: 820 µJ in 17.9 ms, so 45.8 mW", True),
    ),
    "nrf52840_dk": Board(
        "nrf52840_dk",
        "nRF52840 DK",
        "cortex_m4f",
        64e6,
        MIB,
        256 * KIB,
        2,
        1.03,
        "behind a 2 KiB instruction cache; CoreMark 212 at 64 MHz from flash",
        Current(3.3, 3.0, "nRF52840 Product Specification, CPU running CoreMark from flash, DC/DC", False),
    ),
    "stm32f411_nucleo": Board(
        "stm32f411_nucleo",
        "NUCLEO-F411RE (STM32F411)",
        "cortex_m4f",
        100e6,
        512 * KIB,
        128 * KIB,
        3,
        1.0,
        "behind ST's ART cache; CoreMark/MHz is the core's own",
        Current(10.0, 3.3, "ST: 100 µA/MHz running CoreMark from flash, peripherals off (electronicdesign.com)", True),
    ),
    "rpi_pico": Board(
        "rpi_pico",
        "Raspberry Pi Pico (RP2040), one core",
        "cortex_m0plus",
        125e6,
        2 * MIB,
        264 * KIB,
        None,
        1.0,
        "QSPI flash behind a 16 KiB cache: constants larger than it cost more than modelled; the SDK can copy to RAM",
        Current(
            23.0, 5.0, "board at USB's 5 V, working on a table in RAM at 125 MHz (Raspberry Pi forum, ±1 mA)", True
        ),
    ),
    "rpi_pico2": Board(
        "rpi_pico2",
        "Raspberry Pi Pico 2 (RP2350), one Arm core",
        "cortex_m33",
        150e6,
        4 * MIB,
        520 * KIB,
        None,
        1.0,
        "QSPI flash behind a 16 KiB cache: constants larger than it cost more than modelled; the SDK can copy to RAM",
        Current(16.0, 5.0, "board at USB's 5 V, idle: 80 mW (jeffgeerling.com); a lower bound", False),
    ),
    "esp32c3_devkit": Board(
        "esp32c3_devkit",
        "ESP32-C3-DevKitM-1",
        "rv32imc",
        160e6,
        4 * MIB,
        400 * KIB,
        None,
        1.0,
        "QSPI flash behind a 16 KiB cache: constants larger than it cost more than modelled",
        Current(40.7, 5.0, "this board at 5 V, busy loop at 160 MHz, radio off (gist of fabianoriccardi)", True),
    ),
    "nrf5340_dk": Board(
        "nrf5340_dk",
        "nRF5340 DK, application core",
        "cortex_m33",
        128e6,
        MIB,
        512 * KIB,
        None,
        1.0,
        "behind an 8 KiB cache; CoreMark 514 at 128 MHz from flash",
        Current(7.3, 3.0, "nRF5340 Product Specification, CPU running CoreMark from flash at 128 MHz, DC/DC", False),
    ),
}
DEFAULT_BOARD = "nucleo_l4r5zi"


@dataclass(frozen=True)
class Budget:
    """What a decision costs on a board, all of it modelled.

    Attributes:
        latency_ms: of one decision.
        energy_uj: of one decision.
        duty_cycle: share of the time between two decisions that is spent on one.
        cr2032_days: how long a coin cell lasts on decisions alone: no sensor, no radio, no sleep current.
        verified: whether the current behind the energy was read in its source.
    """

    latency_ms: float
    energy_uj: float
    duty_cycle: float | None
    cr2032_days: float | None
    verified: bool


def budget(board: Board, cycles: float, hop_s: float | None) -> Budget:
    """Return what a decision of so many cycles costs.

    Args:
        board: where.
        cycles: of the core without wait states.
        hop_s: time between two decisions; None where nobody knows it.
    """
    return budget_of_time(board, board.latency_ms(cycles), hop_s)


def budget_of_time(board: Board, latency_ms: float, hop_s: float | None) -> Budget:
    """Return what a decision of so many milliseconds costs; see :func:`budget`."""
    energy_uj = latency_ms * board.current.active_mw
    if hop_s is None:
        return Budget(latency_ms, energy_uj, None, None, board.current.verified)
    battery_j = CR2032_MAH * 3.6 * CR2032_V
    days = battery_j / (energy_uj * 1e-6 / hop_s) / (HOURS_PER_DAY * 3600)
    return Budget(latency_ms, energy_uj, latency_ms / 1000 / hop_s, days, board.current.verified)


def board_of(name: str) -> Board:
    """Return the board ``name``.

    Raises:
        UsageError: there is none of that name; lists those there are.
    """
    board = BOARDS.get(name)
    if board is None:
        raise UsageError(f"no board {name!r}; there are {', '.join(BOARDS)}")
    return board
