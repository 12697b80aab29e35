"""How much of each fault a bundle stands: the matrix of faults, severities, engines and seeds, cell by cell."""

from device_sim.stress.cells import Cell, CellStore, plan_cells, run_cell
from device_sim.stress.key import StressKey, key_of
from device_sim.stress.summary import DROP_POINTS, stress_summary

__all__ = [
    "DROP_POINTS",
    "Cell",
    "CellStore",
    "StressKey",
    "key_of",
    "plan_cells",
    "run_cell",
    "stress_summary",
]
