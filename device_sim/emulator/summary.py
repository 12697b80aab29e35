"""``profile.json``: what a network costs on a board. Schema: ``device_sim/schemas/profile.schema.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from device_sim.emulator.boards import CR2032_MAH, Board, budget
from device_sim.emulator.profile import Profile
from device_sim.emulator.timing import TIMINGS

SCHEMA_VERSION = 1


def profile_summary(
    profile: Profile, board: Board, *, name: str, model_sha256: str, bit_exact: bool, hop_s: float | None
) -> dict[str, Any]:
    """Return ``profile.json`` as plain data.

    Args:
        profile: of the board's core.
        board: gives clock, memory and current.
        name: of the model, for people.
        model_sha256: of the file that the network was made from.
        bit_exact: whether every output was the expected one.
        hop_s: time between two decisions; None where nobody knows it.
    """
    cost = budget(board, profile.cycles, hop_s)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "model_sha256": model_sha256,
        "board": board.name,
        "core": profile.core,
        "instructions": profile.instructions,
        "worst_instructions": profile.worst_instructions,
        "cycles": profile.cycles,
        "worst_cycles": profile.worst_cycles,
        "cycles_source": TIMINGS[profile.core].source,
        "latency_kind": "modelled",
        "latency_ms": cost.latency_ms,
        "worst_latency_ms": board.latency_ms(profile.worst_cycles),
        "energy_uj": cost.energy_uj,
        "hop_s": hop_s,
        "duty_cycle": cost.duty_cycle,
        "cr2032_days": cost.cr2032_days,
        "cr2032_mah": CR2032_MAH,
        "clock_hz": board.clock_hz,
        "flash_factor": board.flash_factor,
        "current": asdict(board.current),
        "flash_bytes": profile.flash_bytes,
        "ram_bytes": profile.ram_bytes,
        "stack_bytes": profile.stack_bytes,
        "fits": fits(profile, board),
        "macs": profile.macs,
        "windows": profile.windows,
        "bit_exact": bit_exact,
        "layers": [asdict(layer) for layer in profile.layers],
    }


def fits(profile: Profile, board: Board) -> bool:
    """Return whether flash and RAM, stack included, are enough."""
    return profile.flash_bytes <= board.flash_bytes and profile.ram_bytes + profile.stack_bytes <= board.ram_bytes


def over(limits: Mapping[str, float | None], found: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return what exceeds its limit: found and allowed by name. A limit of None allows everything."""
    return {name: (found[name], limit) for name, limit in limits.items() if limit is not None and found[name] > limit}
