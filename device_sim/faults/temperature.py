"""The sensor's zero moves with its temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator

PERIOD_S = 600.0  # from warm to cold and back
ACC_G_PER_KELVIN = 0.001  # of the order that data sheets of cheap sensors give
GYRO_RAD_S_PER_KELVIN = 0.1 * np.pi / 180


class Temperature:
    """Lets the temperature swing up and down within ``PERIOD_S``; each axis moves up or down with it.

    Args:
        severity: amplitude in kelvin.
    """

    def __init__(self, severity: float, setting: Setting, rng: Generator) -> None:
        per_kelvin = setting.each(ACC_G_PER_KELVIN, GYRO_RAD_S_PER_KELVIN)
        self._amplitude = severity * per_kelvin * rng.choice([-1.0, 1.0], len(per_kelvin))
        self.touched = 0

    def push(self, taken: Taken) -> Taken:
        """Pass all on."""
        self.touched += len(taken)
        quarter_later = (taken.true_us / (1e6 * PERIOD_S) + 0.25) % 1
        swing = 1 - 4 * np.abs(quarter_later - 0.5)  # 0 at first; a sine's last bit would depend on the chunk
        return taken.measuring(taken.samples + swing[:, None] * self._amplitude)
