"""An engine that now and then takes long, as on a processor that is busy with something else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.engines.protocol import Engine
from device_sim.faults.spec import FaultSpec
from device_sim.faults.stall import EVERY_S


class StallingEngine:
    """Waits before some inferences, one in ``EVERY_S`` in the mean.

    Args:
        engine: makes the inferences.
        stall_s: how long it waits.
        hop_s: from inference to inference.
        seed: which ones wait.
        sleep: waits that many seconds.
    """

    def __init__(
        self, engine: Engine, stall_s: float, hop_s: float, seed: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._engine, self._stall_s, self._sleep = engine, stall_s, sleep
        self._share = min(1.0, hop_s / EVERY_S)
        self._rng = np.random.default_rng(seed)
        self.name, self.version = engine.name, engine.version
        self.reset, self.memory_bytes = engine.reset, engine.memory_bytes

    def infer(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Return the outputs, late or not."""
        if self._rng.random() < self._share:
            self._sleep(self._stall_s)
        return self._engine.infer(*inputs)


def with_stalls(engine: Engine, faults: Sequence[FaultSpec], hop_s: float, seed: int) -> Engine:
    """Return the engine with the stalls that the faults ask for; itself where they ask for none."""
    stalls = [fault.severity for fault in faults if fault.name == "stall"]
    return StallingEngine(engine, stalls[0], hop_s, seed) if stalls else engine
