"""Finished cells to ``stress.json``: each fault's figures against its severity, and where the bundle breaks.

A window that the device did not decide, because it heard nothing or had to begin anew, helps nobody: ``right`` is the
share of the windows without faults that it decided right. A fault breaks the bundle at the first severity, from mild to
harsh, at which the mean of ``right`` over the seeds is more than ``DROP_POINTS`` below the run without a fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from device_sim.faults import FAULTS
from device_sim.stress.cells import NO_FAULT, Cell
from device_sim.stress.key import StressKey
from edgehar.bundle import Bundle
from edgehar.recording import Recording

SCHEMA_VERSION = 1
DROP_POINTS = 5.0
ROUNDING = 1e-9  # five points are not more than five
DRAWN = ("right", "accuracy", "macro_f1", "event_f1", "event_f1_where_labelled", "answered")

Figures = Mapping[str, Any]


def stress_summary(
    bundle: Bundle, recordings: Sequence[Recording], key: StressKey, cells: Mapping[Cell, Figures]
) -> dict[str, Any]:
    """Return ``stress.json`` (schema: ``device_sim/schemas/stress.schema.json``) of the finished cells.

    Args:
        bundle: what was run.
        recordings: on these.
        key: of the two.
        cells: figures of each; severities in the order from mild to harsh.

    Raises:
        ValueError: an engine's run without a fault is missing.
    """
    engines = list(dict.fromkeys(cell.engine for cell in cells))
    clean = {engine: _clean(engine, cells) for engine in engines}
    rows = []
    for engine in engines:
        mine = {cell: figures for cell, figures in cells.items() if cell.engine == engine and cell.fault != NO_FAULT}
        for fault in dict.fromkeys(cell.fault for cell in mine):
            rows.append(_fault(fault, engine, clean[engine], [(c, f) for c, f in mine.items() if c.fault == fault]))
    return {
        "schema_version": SCHEMA_VERSION,
        "bundle_name": bundle.manifest.name,
        **key.to_dict(),
        "dataset": ", ".join(dict.fromkeys(r.source for r in recordings if r.source)),
        "subjects": sorted({r.subject for r in recordings}),
        "recordings": len(recordings),
        "cells": len(cells),
        "rule": {"figure": "right", "drop_points": DROP_POINTS},
        "fault_free": [{"engine": engine, **_scores(clean[engine], clean[engine])} for engine in engines],
        "faults": rows,
    }


def _clean(engine: str, cells: Mapping[Cell, Figures]) -> Figures:
    found = cells.get(Cell(NO_FAULT, 0.0, engine, 0))
    if found is None:
        raise ValueError(f"no run without a fault on engine {engine}; it is the first cell of a matrix")
    return found


def _scores(figures: Figures, clean: Figures) -> dict[str, float | None]:
    windows = max(figures["windows"], clean["windows"])
    shares = {
        "right": figures["right"] / windows if windows else None,
        "answered": min(1.0, figures["windows"] / clean["windows"]) if clean["windows"] else None,
    }
    return {name: shares[name] if name in shares else figures[name] for name in DRAWN}


def _fault(fault: str, engine: str, clean: Figures, cells: Sequence[tuple[Cell, Figures]]) -> dict[str, Any]:
    severities = []
    for severity in dict.fromkeys(cell.severity for cell, _ in cells):
        mine = [(cell, figures) for cell, figures in cells if cell.severity == severity]
        scores = [_scores(figures, clean) for _, figures in mine]
        device = [figures["device"] for _, figures in mine]
        severities.append(
            {
                "severity": severity,
                "seeds": [cell.seed for cell, _ in mine],
                **{name: _spread([score[name] for score in scores]) for name in DRAWN},
                "device": {name: sum(counts[name] for counts in device) / len(device) for name in device[0]},
            }
        )
    entry = FAULTS[fault]
    return {
        "fault": fault,
        "what": entry.what,
        "unit": entry.unit,
        "engine": engine,
        "breaks_at": _breaks_at(severities, _scores(clean, clean)["right"]),
        "severities": severities,
    }


def _breaks_at(severities: Sequence[Mapping[str, Any]], clean: float | None) -> float | None:
    if clean is None:
        return None
    for row in severities:
        if row["right"] is None or 100 * (clean - row["right"]["mean"]) > DROP_POINTS + ROUNDING:
            return float(row["severity"])
    return None


def _spread(values: Sequence[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"mean": fmean(known), "low": min(known), "high": max(known)}
