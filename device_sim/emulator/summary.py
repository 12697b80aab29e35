"""``profile.json``: what a network, and the firmware around it, cost on a board.

Schema: ``device_sim/schemas/profile.schema.json``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from device_sim.emulator.boards import CR2032_MAH, Board, budget, budget_of_time
from device_sim.emulator.firmware import FirmwareProfile
from device_sim.emulator.profile import Profile
from device_sim.emulator.timing import TIMINGS

SCHEMA_VERSION = 1


def profile_summary(
    profile: Profile, board: Board, *, name: str, model_sha256: str, bit_exact: bool, hop_s: float | None
) -> dict[str, Any]:
    """Return what a network costs as plain data.

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
        "flash_wait_states": board.wait_states,
        "flash_factor": board.flash_factor,
        "current": asdict(board.current),
        "flash_bytes": profile.flash_bytes,
        "ram_bytes": profile.ram_bytes,
        "stack_bytes": profile.stack_bytes,
        "fits": _fits(board, profile.flash_bytes, profile.ram_bytes + profile.stack_bytes),
        "macs": profile.macs,
        "windows": profile.windows,
        "bit_exact": bit_exact,
        "layers": [asdict(layer) for layer in profile.layers],
    }


def pipeline_summary(profile: FirmwareProfile, board: Board, *, bit_exact: bool, hop_s: float | None) -> dict[str, Any]:
    """Return what a whole firmware costs as plain data: ``pipeline`` of ``profile.json``.

    Args:
        profile: of the board's core.
        board: gives clock, memory and current.
        bit_exact: whether the logits of every decision were the expected ones.
        hop_s: time between two decisions; None where nobody knows it.
    """
    cycles = sum(stage.cycles for stage in profile.stages)
    cost = budget(board, cycles, hop_s)
    return {
        "decisions": profile.decisions,
        "instructions": sum(stage.instructions for stage in profile.stages),
        "cycles": cycles,
        "latency_ms": cost.latency_ms,
        "push_ms": board.latency_ms(profile.push_cycles),
        "deciding_push_ms": board.latency_ms(profile.deciding_push_cycles),
        "energy_uj": cost.energy_uj,
        "duty_cycle": cost.duty_cycle,
        "cr2032_days": cost.cr2032_days,
        "flash_bytes": profile.flash_bytes,
        "ram_bytes": profile.ram_bytes,
        "stack_bytes": profile.stack_bytes,
        "fits": _fits(board, profile.flash_bytes, profile.ram_bytes + profile.stack_bytes),
        "bit_exact": bit_exact,
        "stages": [asdict(stage) for stage in profile.stages],
    }


def energy_summary(board: Board, latency_ms: float, hop_s: float) -> dict[str, Any]:
    """Return what a decision costs on a board as plain data: ``energy`` of ``summary.json``.

    Args:
        board: gives power.
        latency_ms: of a decision, the samples of a hop included.
        hop_s: time between two decisions.
    """
    cost = budget_of_time(board, latency_ms, hop_s)
    return {
        "kind": "modelled",
        "board": board.name,
        "board_label": board.label,
        "core": board.core,
        "clock_hz": board.clock_hz,
        "latency_ms": cost.latency_ms,
        "energy_uj": cost.energy_uj,
        "duty_cycle": cost.duty_cycle,
        "cr2032_days": cost.cr2032_days,
        "current": asdict(board.current),
    }


def _fits(board: Board, flash_bytes: int, ram_bytes: int) -> bool:
    return flash_bytes <= board.flash_bytes and ram_bytes <= board.ram_bytes
