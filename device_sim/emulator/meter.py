"""From counted blocks to instructions and cycles of each region of a machine's code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device_sim.emulator.instructions import decoder
from device_sim.emulator.machine import Machine
from device_sim.emulator.timing import TIMINGS, block_cycles


class Meter:
    """Reads a machine's counter. Blocks are decoded once, when they are first seen.

    Args:
        machine: whose blocks are counted.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._timing = TIMINGS[machine.core.name]
        self._decode = decoder(machine.core)
        slots = len(machine.counter.sizes)
        self._instructions = np.zeros(slots, np.int64)
        self._cycles = np.zeros(slots, np.int64)

    def instructions(self) -> NDArray[np.int64]:
        """Return ``[regions]`` instructions since the counter was cleared; one that its condition skips counts too."""
        self._decode_new()
        counts: NDArray[np.int64] = self._machine.counter.counts.view(np.int64) @ self._instructions
        return counts

    def cycles(self) -> NDArray[np.int64]:
        """Return ``[regions]`` modelled cycles since the counter was cleared."""
        self._decode_new()
        counter = self._machine.counter
        cycles: NDArray[np.int64] = counter.counts.view(np.int64) @ self._cycles
        cycles += self._timing.taken * counter.taken.view(np.int64).sum(axis=1)
        return cycles

    def _decode_new(self) -> None:
        base, code = self._machine.image.code
        sizes = self._machine.counter.sizes
        for slot in np.flatnonzero((sizes != 0) & (self._instructions == 0)).tolist():
            block = self._decode(code[2 * slot : 2 * slot + int(sizes[slot])], base + 2 * slot)
            self._instructions[slot] = len(block)
            self._cycles[slot] = block_cycles(self._timing, block)
