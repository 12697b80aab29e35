"""One cell of the matrix: a bundle on one engine under one fault; and the folder where finished cells wait.

A cell is a file of its own, written whole or not at all. Whatever kills the work, the same command goes on with what is
missing: no cell is lost, and none is counted twice, since a cell has one name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from device_sim.engines import open_engine
from device_sim.faults import FaultSpec
from device_sim.simulate import simulate
from device_sim.stress.key import StressKey
from edgehar.bundle import Bundle
from edgehar.files import sha256_bytes, write_json
from edgehar.recording import Recording

NO_FAULT = "none"
FIGURES = ("windows", "accuracy", "macro_f1", "right", "event_f1", "event_f1_where_labelled")


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        fault: key of ``FAULTS``, or ``NO_FAULT``.
        severity: in its unit; 0 without a fault.
        engine: key of ``ENGINES``.
        seed: of the fault.
    """

    fault: str
    severity: float
    engine: str
    seed: int

    @property
    def faults(self) -> tuple[FaultSpec, ...]:
        """As :func:`device_sim.simulate.simulate` takes them."""
        return () if self.fault == NO_FAULT else (FaultSpec(self.fault, self.severity),)


def plan_cells(faults: Mapping[str, Sequence[float]], engines: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    """Return the cells of a matrix in the order of the work: of each engine the run without a fault first."""
    cells = []
    for engine in engines:
        cells.append(Cell(NO_FAULT, 0.0, engine, 0))
        for fault, severities in faults.items():
            cells += [Cell(fault, float(severity), engine, seed) for severity in severities for seed in seeds]
    return cells


def run_cell(bundle: Bundle, recordings: Sequence[Recording], cell: Cell) -> dict[str, Any]:
    """Return the figures of one cell: ``FIGURES``, and what the device did about the fault.

    Raises: as :func:`device_sim.simulate.simulate`; KeyboardInterrupt where Ctrl-C cut the run short.
    """
    summary = simulate(bundle, recordings, cell.engine, faults=cell.faults, seed=cell.seed).summary
    if summary["interrupted"]:
        raise KeyboardInterrupt
    accuracy, events = summary["accuracy"], summary["events"]
    return {
        "windows": summary["windows"],
        "accuracy": accuracy,
        "macro_f1": summary["macro_f1"],
        "right": 0 if accuracy is None else round(accuracy * summary["windows"]),
        "event_f1": events["f1"],
        "event_f1_where_labelled": events["f1_where_labelled"],
        "device": None if summary["faults"] is None else summary["faults"]["device"],
    }


class CellStore:
    """Finished cells in a folder, each under the hash of all that it depends on.

    Args:
        folder: made when the first cell is finished.
        key: of bundle, recordings and code; cells of other keys in the same folder are not seen.
        bundle: tells the version of each engine.
    """

    def __init__(self, folder: Path, key: StressKey, bundle: Bundle) -> None:
        self.folder = folder
        self._key, self._bundle = key, bundle
        self._versions: dict[str, str] = {}

    def identity(self, cell: Cell) -> dict[str, Any]:
        """Return all that a cell's figures depend on."""
        if cell.engine not in self._versions:
            self._versions[cell.engine] = open_engine(cell.engine, self._bundle).version
        return {**self._key.to_dict(), **asdict(cell), "engine_version": self._versions[cell.engine]}

    def read(self, cell: Cell) -> dict[str, Any] | None:
        """Return the figures of a finished cell, None where it is not finished, or its file is damaged."""
        identity = self.identity(cell)
        try:
            found = json.loads(self._path(identity).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(found, dict) or found.get("cell") != identity or not isinstance(found.get("figures"), dict):
            return None
        figures: dict[str, Any] = found["figures"]
        return figures if {*FIGURES, "device"} == set(figures) else None

    def write(self, cell: Cell, figures: Mapping[str, Any]) -> None:
        """Keep a finished cell, whole or not at all.

        Raises:
            OSError: the folder cannot be written.
        """
        identity = self.identity(cell)
        write_json(self._path(identity), {"cell": identity, "figures": dict(figures)})

    def finished(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """Yield those of the cells that are finished, with their figures."""
        for cell in cells:
            figures = self.read(cell)
            if figures is not None:
                yield cell, figures

    def _path(self, identity: Mapping[str, Any]) -> Path:
        return self.folder / f"{sha256_bytes(json.dumps(identity, sort_keys=True).encode())[:24]}.json"
