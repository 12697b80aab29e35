"""A simulation while it goes on: what streams where, and what there is of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from device_sim.baseline import Baseline
from device_sim.clock import Clock
from device_sim.device import Device
from device_sim.faults import Disturbed, FaultSpec
from device_sim.results import RecordingTrace
from device_sim.telemetry import Histogram, Telemetry
from edgehar.bundle import Bundle
from edgehar.recording import Recording


@dataclass
class Run:
    """All that the summary is made of; the last seven fields grow while the recordings are streamed."""

    bundle: Bundle
    device: Device
    telemetry: Telemetry
    recordings: list[Recording]
    baseline: Baseline | None
    clock: Clock
    faults: tuple[FaultSpec, ...]
    seed: int
    played: list[Disturbed] = field(default_factory=list)
    traces: list[RecordingTrace] = field(default_factory=list)
    samples: int = 0
    data: list[dict[str, Any]] = field(default_factory=list)
    wall_s: float = 0.0
    interrupted: bool = False
    noise: tuple[Histogram, Histogram] | None = None  # of the host before and after; None where it has no part
