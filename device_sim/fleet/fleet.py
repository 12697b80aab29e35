"""What a fleet is: many devices with one bundle, fed together, each with the bits that it would have alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from device_sim.decisions import DecisionBatch
from device_sim.engines.c_native import CNativeEngine
from device_sim.engines.protocol import Engine
from device_sim.fleet.compiled import CompiledFleet
from device_sim.fleet.vectorised import VectorisedFleet
from device_sim.results import Event
from edgehar.bundle import Bundle

F32 = NDArray[np.float32]


class Fleet(Protocol):
    """Devices 0 to D - 1, all switched on at the same moment.

    Attributes:
        engine_name, engine_version: of the interpreter that they share; what it keeps is no device's.
        state_bytes: most that is kept of each device between two pushes, in arrays; the decision stages in Python are
            some objects more.
    """

    engine_name: str
    engine_version: str
    state_bytes: int

    def push(self, samples: F32, lengths: Sequence[int]) -> list[DecisionBatch | None]:
        """Take the next samples ``[D, T, C]`` and return what each device decides, None where that is nothing.

        Args:
            samples: those of device d are its first ``lengths[d]``; what follows is not looked at.
            lengths: at most T each. A device that gets less than T has ended: it gets 0 from then on.

        Raises:
            ValueError: the shapes do not fit, or a device that has ended gets samples.
            EngineError: the interpreter failed.
        """
        ...

    def finish(self) -> list[Event | None]:
        """Return the event still open on each device, ended by the end of its stream."""
        ...

    def invalid_samples(self) -> list[int]:
        """Return how many samples of each device had a NaN or infinite value."""
        ...


def open_fleet(bundle: Bundle, engine: Engine, devices: int) -> Fleet:
    """Return ``devices`` devices of a bundle, reset, on one engine.

    With ``c_native`` each is a ``har_context`` of the bundle's firmware; with the others the front end runs over all
    devices at once and the interpreter over their windows. So do bundles whose network has an embedding: what was
    enrolled is not in their firmware.

    Raises:
        EngineError, BundleError: the bundle's firmware or decision stage cannot be used.
    """
    if isinstance(engine, CNativeEngine) and bundle.manifest.embedding is None:
        return CompiledFleet(bundle, engine, devices)
    return VectorisedFleet(bundle, engine, devices)
