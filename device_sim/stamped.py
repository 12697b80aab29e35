"""Samples that carry the time at which the sensor took them: what a source hands to the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Stamped:
    """Consecutive samples in the order in which they arrive.

    Attributes:
        t_us: ``[N]`` int64 stamps of the sensor's clock in microseconds; nothing promises that they increase.
        samples: ``[N, C]`` float32.
    """

    t_us: NDArray[np.int64]
    samples: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.t_us.shape != self.samples.shape[:1]:
            raise ValueError(f"{self.t_us.shape} stamps for samples {self.samples.shape}, expected [N] and [N, C]")
        if self.t_us.dtype != np.int64 or self.samples.dtype != np.float32:
            raise ValueError(f"stamps {self.t_us.dtype}, samples {self.samples.dtype}; expected int64 and float32")

    def __len__(self) -> int:
        return len(self.t_us)
