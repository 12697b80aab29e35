"""Causal second-order filter sections: gravity split, high-pass, noise low-pass.

Coefficients are designed once, offline (scipy.signal.butter(..., output="sos") fits), and stored as float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Section = tuple[float, float, float, float, float]  # b0 b1 b2 a1 a2, with a0 = 1


@dataclass(frozen=True)
class Biquad:
    """A cascade of second-order sections, transposed direct form II, float32, in this order of operations.

    ::

        y  = b0 x + s1
        s1 = (b1 x - a1 y) + s2
        s2 = b2 x - a2 y

    After a reset the state is the steady state for the first sample, so a recording that begins at 1 g does not
    begin with a step response.

    Attributes:
        columns: feature columns it works on.
        sections: ``(b0, b1, b2, a1, a2)`` of each section, ``a0 = 1``.
        settle_samples: samples after which the past is forgotten to float32 resolution (for augmentation).

    Source: Oppenheim & Schafer, Discrete-Time Signal Processing, section 6.3 (transposed forms).
    """

    columns: tuple[int, ...]
    sections: tuple[Section, ...]
    settle_samples: int = 128

    op = "biquad"

    def __post_init__(self) -> None:
        for b0, b1, b2, a1, a2 in self.sections:
            if not (abs(a2) < 1 and abs(a1) < 1 + a2) or not np.isfinite([b0, b1, b2]).all():
                raise ValueError(
                    f"biquad: the section {(b0, b1, b2, a1, a2)} is not stable; poles must lie inside the unit circle"
                )

    @property
    def memory_samples(self) -> int:
        """Earlier samples that an output depends on (in practice; the impulse response never ends)."""
        return self.settle_samples

    def apply(self, x: F32, state: Any) -> tuple[F32, Any]:
        """Filter ``[..., C, T]`` along T; returns the output and the state to pass with the next chunk."""
        y = np.array(x, np.float32)
        states = [None] * len(self.sections) if state is None else state
        after = []
        for section, previous in zip(self.sections, states, strict=True):
            b0, b1, b2, a1, a2 = (np.float32(c) for c in section)
            if previous is None:
                c1, c2 = (np.float32(c) for c in steady_state(section))
                s2 = c2 * y[..., 0]
                s1 = c1 * y[..., 0] + s2
            else:
                s1, s2 = previous
            for t in range(y.shape[-1]):
                sample = y[..., t].copy()
                out = b0 * sample + s1
                s1 = (b1 * sample - a1 * out) + s2
                s2 = b2 * sample - a2 * out
                y[..., t] = out
            after.append((s1, s2))
        return y, tuple(after)


def steady_state(section: Section) -> tuple[float, float]:
    """Return c1, c2: a constant input x gives a constant output from the states ``s2 = c2 x``, ``s1 = c1 x + s2``."""
    b0, b1, b2, a1, a2 = section
    gain = (b0 + b1 + b2) / (1 + a1 + a2)
    return b1 - a1 * gain, b2 - a2 * gain
