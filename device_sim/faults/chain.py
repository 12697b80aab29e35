"""Several faults one after the other in one stream."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import cast

import numpy as np

from device_sim.faults.fault import Fault, Holding
from device_sim.faults.spec import FaultSpec
from device_sim.faults.table import FAULTS
from device_sim.faults.taken import Setting, Taken, join


class FaultChain:
    """Faults in one stream. The same seed and name give the same faults; another fault beside them changes no draw.

    Args:
        faults: in the order in which a sample meets them.
        setting: of the stream.
        seed: of everything that is random.
        stream: its name; other streams have other draws.
    """

    def __init__(self, faults: Sequence[FaultSpec], setting: Setting, seed: int, stream: str) -> None:
        self._faults: dict[str, Fault] = {}
        for fault in faults:
            rng = np.random.default_rng([seed, zlib.crc32(stream.encode()), zlib.crc32(fault.name.encode())])
            self._faults[fault.name] = FAULTS[fault.name].make(fault.severity, setting, rng)

    @property
    def touched(self) -> dict[str, int]:
        """Samples that each fault changed, added or took away."""
        return {name: fault.touched for name, fault in self._faults.items()}

    def push(self, taken: Taken) -> Taken:
        """Return what the next samples become."""
        for fault in self._faults.values():
            taken = fault.push(taken)
        return taken

    def finish(self, none: Taken) -> Taken:
        """Return what is held back when the stream ends; ``none`` is a stretch without samples."""
        taken = none
        for fault in self._faults.values():
            taken = fault.push(taken)
            held = cast(Holding, fault).finish() if hasattr(fault, "finish") else None
            if held is not None:
                taken = join([taken, held])
        return taken
