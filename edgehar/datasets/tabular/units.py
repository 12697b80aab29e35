"""Units: how people spell them, the factors to those that recordings carry, and which it is by how large values are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgehar.datasets.tabular.guess import Guess

STANDARD_GRAVITY_MPS2 = 9.80665
DEGREE = np.pi / 180
# Factors to the unit that recordings carry.
UNITS: dict[str, dict[str, float]] = {
    "acc": {"g": 1.0, "m/s2": 1 / STANDARD_GRAVITY_MPS2, "mg": 1e-3},
    "gyro": {"rad/s": 1.0, "deg/s": DEGREE, "mdeg/s": DEGREE / 1000},
    "mag": {"uT": 1.0, "mT": 1000.0, "gauss": 100.0},
}
BASE_UNITS = {"acc": "g", "gyro": "rad/s", "mag": "uT"}
SPELLINGS = {
    "g": "g", "gs": "g", "m/s2": "m/s2", "m/s^2": "m/s2", "m/s²": "m/s2", "m/s/s": "m/s2", "ms-2": "m/s2",
    "m.s-2": "m/s2", "mps2": "m/s2", "mg": "mg", "milli-g": "mg", "rad/s": "rad/s", "rads": "rad/s", "rps": "rad/s",
    "radians/s": "rad/s", "deg/s": "deg/s", "°/s": "deg/s", "dps": "deg/s", "degrees/s": "deg/s", "mdps": "mdeg/s",
    "mdeg/s": "mdeg/s", "ut": "uT", "µt": "uT", "microtesla": "uT", "mt": "mT", "gauss": "gauss",
}  # fmt: skip
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
TIME_SPELLINGS = {
    "s": "s", "sec": "s", "secs": "s", "seconds": "s", "ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms",
    "us": "us", "µs": "us", "usec": "us", "micros": "us", "microseconds": "us", "ns": "ns", "nanos": "ns",
    "nanoseconds": "ns",
}  # fmt: skip
USUAL_RATES_HZ = (4.0, 1100.0)


def guess_time_unit(t: NDArray[np.float64], stated: str | None) -> Guess:
    """Return the unit of a time column from its usual step: the one that makes a sensor's rate of it."""
    steps = np.diff(t[np.isfinite(t)])
    steps = steps[steps > 0]
    if stated is not None:
        return Guess("time unit", stated, "the column's name says so")
    if not len(steps):
        return Guess("time unit", "s", "the times never increase", sure=False)
    step = float(np.median(steps))
    mean = float((t[np.isfinite(t)].max() - t[np.isfinite(t)].min()) / max(1, len(t) - 1))
    for unit, seconds in TIME_UNITS.items():
        rate = 1 / (mean * seconds)
        if USUAL_RATES_HZ[0] <= rate <= USUAL_RATES_HZ[1]:
            if step == 1.0 and unit == "ms":
                continue  # 1, 2, 3: a counter of samples
            return Guess("time unit", unit, f"steps of {step:g} are then {rate:.4g} Hz on average")
    return Guess("time unit", "", f"steps of {step:g} fit no unit; is it a counter?", sure=False)


def guess_unit(quantity: str, x: NDArray[np.float64], stated: str | None) -> Guess:
    """Return the unit of a sensor ``[N, axes]`` from how large its values are.

    A resting accelerometer shows 1 g; a gyroscope on a person turns by some rad/s, rarely by more than 20.
    """
    what = f"unit of {quantity}"
    if stated is not None:
        return Guess(what, stated, "the column's name, or the file, says so")
    finite = x[np.isfinite(x).all(axis=1)]
    if quantity == "acc" and len(finite):
        with np.errstate(over="ignore"):
            length = float(np.median(np.sqrt((finite**2).sum(axis=1))))
        for unit, low, high in (("g", 0.5, 2.0), ("m/s2", 6.0, 15.0), ("mg", 500.0, 2000.0)):
            if low <= length <= high:
                return Guess(
                    what, unit, f"a sample is {length:.4g} long as a rule; gravity is 1 g", finite.shape[1] == 3
                )
        return Guess(
            what, "g" if length < 2 else "m/s2", f"a sample is {length:.4g} long as a rule: gravity is not in it", False
        )
    if quantity == "gyro" and len(finite):
        large = float(np.percentile(np.abs(finite), 99.5))
        unit = "rad/s" if large < 25 else "deg/s" if large < 4000 else "mdeg/s"
        return Guess(what, unit, f"values reach {large:.4g}", 0.5 < large < 15 or 40 < large < 2500)
    return Guess(what, BASE_UNITS.get(quantity, ""), "not told", False)
