"""What the network costs on a board, layer by layer: instructions counted by an emulator, time and energy modelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_sim.report.figures import DASH, SPACE, count, mapping, number, percent, size
from device_sim.report.markup import Cell, plain, section, table, text

CALLS = "(calls)"


def section_html(profile: Mapping[str, Any] | None, summary: Mapping[str, Any]) -> str:
    """Return the tables of layers and of the whole; empty where no board was asked for.

    Args:
        profile: ``profile.json`` as plain data.
        summary: its ``energy`` names the board for people.
    """
    if profile is None:
        return ""
    board = str(mapping(summary.get("energy")).get("board_label") or profile.get("board") or "the board")
    lead = (
        f"The bundle's firmware on an emulated {profile.get('core') or 'core'} of {board}. Instructions and bytes are "
        "exact; cycles come from the core's published timing, time and energy from the board's clock and current: "
        "modelled, not measured."
    )
    body = f'<div class="stack"><div>{_layers(profile)}</div><div>{_whole(profile)}</div></div>'
    return section("board", "What it costs on the board", lead, body)


def _layers(profile: Mapping[str, Any]) -> str:
    found = profile.get("layers")
    layers = [mapping(layer) for layer in found] if isinstance(found, list | tuple) else []
    total = number(profile.get("cycles")) or 0.0
    named = sum(number(layer.get("cycles")) or 0.0 for layer in layers)
    rows = [_row(str(layer.get("name")), str(layer.get("op") or ""), layer, total) for layer in layers]
    rows.append(_row(CALLS, "", {"cycles": max(total - named, 0.0)}, total))
    columns = ["Layer", "Operation", "Share of the cycles", "#Share", "#MACs", "#Instructions", "#Cycles"]
    return table("One window through the network, layer by layer", columns, rows, "layers")


def _row(name: str, op: str, layer: Mapping[str, Any], total: float) -> list[Cell]:
    cycles = number(layer.get("cycles")) or 0.0
    share = cycles / total if total > 0 and cycles > 0 else 0.0
    words = f"{name}: {percent(share)} of the cycles"
    bar = (
        f'<svg width="100%" height="10" role="img" aria-label="{text(words)}">'
        f'<rect width="{max(100 * min(share, 1.0), 0.3):.1f}%" height="10" rx="2"/></svg>'
    )
    counts = [count(layer.get(key)) for key in ("macs", "instructions", "cycles")]
    return [plain(name, "file"), plain(op), Cell(bar, "bar"), plain(percent(share)), *map(plain, counts)]


def _whole(profile: Mapping[str, Any]) -> str:
    whole = mapping(profile.get("pipeline")) or profile
    what = "raw samples to events" if profile.get("pipeline") else "the network alone"
    current = mapping(profile.get("current"))
    source = f"{current.get('source') or 'no source'}{'' if current.get('verified') is True else '; not verified'}"
    days = number(whole.get("cr2032_days"))
    rows = [
        ("Busy time of a decision", _unit(whole.get("latency_ms"), "ms", 3), f"modelled, {what}"),
        ("Longest push", _unit(whole.get("deciding_push_ms", whole.get("worst_latency_ms")), "ms", 3), "modelled"),
        ("Energy of a decision", _unit(whole.get("energy_uj"), "µJ", 1), f"modelled; current: {source}"),
        ("Duty cycle", percent(whole.get("duty_cycle"), 2), "share of a hop, modelled"),
        ("Coin cell", f"{count(days)}{SPACE}days" if days is not None else DASH, "CR2032, for this alone: no sensor, "
         "radio or sleep"),
        ("Flash", size(whole.get("flash_bytes")), "exact: code, constants, start-up"),
        ("RAM", size(whole.get("ram_bytes")), "exact, without the stack"),
        ("Stack", size(whole.get("stack_bytes")), "exact: deepest use, without interrupts"),
    ]  # fmt: skip
    columns = ["Of the whole", "#Figure", "How it is known"]
    return table("The firmware as a whole", columns, [list(map(plain, row)) for row in rows], "figures")


def _unit(value: Any, unit: str, digits: int) -> str:
    found = number(value)
    return DASH if found is None else f"{found:,.{digits}f}{SPACE}{unit}"
