"""What goes wrong between a person's movement and the device: seeded, composable, the truth kept beside it."""

from device_sim.faults.replay import Disturbed, Piece, disturb, undisturbed
from device_sim.faults.spec import EXAMPLE, FaultSpec, parse_faults, read_faults
from device_sim.faults.table import FAULTS, FaultEntry

__all__ = [
    "EXAMPLE",
    "FAULTS",
    "Disturbed",
    "FaultEntry",
    "FaultSpec",
    "Piece",
    "disturb",
    "parse_faults",
    "read_faults",
    "undisturbed",
]
