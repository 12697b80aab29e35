"""All faults by name, with unit, default severities and the range that makes sense."""

from __future__ import annotations

from dataclasses import dataclass

from device_sim.faults.adc import Adc
from device_sim.faults.bias import Bias
from device_sim.faults.burst import Burst
from device_sim.faults.drift import Drift
from device_sim.faults.drop import Drop
from device_sim.faults.duplicate import Duplicate
from device_sim.faults.fault import MakeFault
from device_sim.faults.gap import EVERY_S as GAP_EVERY_S
from device_sim.faults.gap import Gap
from device_sim.faults.jitter import Jitter
from device_sim.faults.mounting import flip, rotation, swap, turn
from device_sim.faults.noise import Noise
from device_sim.faults.not_a_number import NotANumber
from device_sim.faults.rate import Rate
from device_sim.faults.reboot import EVERY_S as REBOOT_EVERY_S
from device_sim.faults.reboot import Reboot
from device_sim.faults.reorder import Reorder
from device_sim.faults.saturate import Saturate
from device_sim.faults.stall import EVERY_S as STALL_EVERY_S
from device_sim.faults.stall import Stall
from device_sim.faults.stuck import Stuck
from device_sim.faults.temperature import Temperature

# what may be written behind the number of each unit, and what it multiplies the number with
UNITS: dict[str, dict[str, float]] = {
    "share": {"": 1.0, "%": 0.01},
    "ms": {"": 1.0, "ms": 1.0, "us": 0.001, "s": 1000.0},
    "s": {"": 1.0, "s": 1.0, "ms": 0.001},
    "ppm": {"": 1.0, "ppm": 1.0, "%": 10_000.0},
    "g": {"": 1.0, "g": 1.0, "mg": 0.001},
    "deg": {"": 1.0, "deg": 1.0},
    "K": {"": 1.0, "K": 1.0, "C": 1.0},
    "bit": {"": 1.0, "bit": 1.0, "bits": 1.0},
    "axes": {"": 1.0},
    "times": {"": 1.0, "x": 1.0, "%": 0.01},
}


@dataclass(frozen=True)
class FaultEntry:
    """A fault as a user names it.

    Attributes:
        make: of a severity, in its unit.
        unit: key of ``UNITS``.
        severities: for a study, from mild to harsh.
        lowest, highest: what is accepted.
        what: one line.
        whole: only whole numbers make sense.
    """

    make: MakeFault
    unit: str
    severities: tuple[float, ...]
    lowest: float
    highest: float
    what: str
    whole: bool = False


SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)

# In the order in which a sample meets them, whatever the order in a specification: body, sensor, bus, link, clock
FAULTS: dict[str, FaultEntry] = {
    "rate": FaultEntry(
        Rate, "times", (0.9, 0.8, 0.5, 0.25, 0.1), 0.02, 20, "the sensor samples at this factor of its rate"
    ),
    "rotation": FaultEntry(
        rotation, "deg", (5, 10, 20, 45, 90, 180), -360, 360, "turned about an axis, random a recording"
    ),
    "turn": FaultEntry(turn, "deg", (5, 10, 20, 45, 90, 180), -360, 360, "turned about its z axis: 180 is upside down"),
    "swap": FaultEntry(swap, "axes", (1, 2), 1, 2, "two axes exchanged (1), all three in a circle (2)", True),
    "flip": FaultEntry(flip, "axes", (1, 2, 3), 1, 3, "this many axes with the wrong sign", True),
    "noise": FaultEntry(
        Noise, "g", (0.01, 0.02, 0.05, 0.1, 0.2, 0.5), 0, 100, "white noise; gyroscopes: the same number in rad/s"
    ),
    "bias": FaultEntry(
        Bias, "g", (0.02, 0.05, 0.1, 0.2, 0.5), 0, 100, "constant offset; gyroscopes: the same number in rad/s"
    ),
    "temperature": FaultEntry(
        Temperature,
        "K",
        (10, 20, 40, 80),
        0,
        1000,
        "offset swings with ± this in 10 min, 1 mg and 0.1 °/s a kelvin",
    ),
    "saturate": FaultEntry(Saturate, "g", (16, 8, 4, 2, 1.5, 1), 0.01, 1000, "accelerations limited to ± this"),
    "stuck": FaultEntry(
        Stuck, "share", (0.05, 0.1, 0.25, 0.5, 1), 0, 1, "one axis holds its value, part of every 20 s"
    ),
    "adc": FaultEntry(
        Adc, "bit", (16, 12, 10, 8, 6, 4), 1, 24, "converter of so few bits over ±8 g and ±2000 °/s", True
    ),
    "nan": FaultEntry(NotANumber, "share", (0.001, *SHARES), 0, 1, "values that are NaN or infinite"),
    "drop": FaultEntry(Drop, "share", SHARES, 0, 1, "samples lost, each by itself"),
    "burst": FaultEntry(Burst, "share", SHARES, 0, 0.9, "samples lost in bursts of 10 in the mean"),
    "gap": FaultEntry(
        Gap, "s", (0.1, 0.2, 0.5, 0.9, 2, 5), 0, GAP_EVERY_S, f"link lost for so long, once in {GAP_EVERY_S:g} s"
    ),
    "stall": FaultEntry(
        Stall, "s", (0.2, 0.5, 1, 2, 5), 0, STALL_EVERY_S, f"processor busy for so long, once in {STALL_EVERY_S:g} s"
    ),
    "duplicate": FaultEntry(Duplicate, "share", (0.01, 0.05, 0.2, 0.5), 0, 1, "samples sent twice"),
    "jitter": FaultEntry(Jitter, "ms", (1, 2, 5, 10, 20), 0, 1000, "error of each stamp, standard deviation"),
    "drift": FaultEntry(
        Drift,
        "ppm",
        (100, 1000, 10_000, 50_000, 100_000),
        -500_000,
        500_000,
        "the clock of the stamps runs fast by this",
    ),
    "reorder": FaultEntry(Reorder, "share", (0.01, 0.05, 0.2, 0.5), 0, 1, "samples that arrive 1 to 3 samples late"),
    "reboot": FaultEntry(
        Reboot,
        "s",
        (0.5, 1, 2, 5, 10),
        0,
        REBOOT_EVERY_S,
        f"device starts anew once in {REBOOT_EVERY_S:g} s, which takes so long",
    ),
}
