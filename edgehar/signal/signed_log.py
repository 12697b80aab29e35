"""``slog``: signed logarithm, the accuracy lever of the front end.

Sitting and standing differ by about 0.005 g of micro-motion that a z-score dominated by walking buries; a
logarithm gives both the same room.

The logarithm is written out in float32 additions, multiplications and divisions instead of calling ``log1p``:
library logarithms differ in the last bit between SIMD widths, processors and C libraries, and the device must
compute the same bits as the training host.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

_SQRT_HALF_BITS = np.int32(0x3F3504F3)  # float32 bits of sqrt(1/2)
_SIGN_BIT = np.int32(-(2**31))
_ONE = np.float32(1)
_TWO = np.float32(2)
_LN2 = np.float32(0.6931471805599453)
# atanh(z)/z = 1 + z²/3 + z⁴/5 + z⁶/7 + ...; |z| <= 0.1716, so the first term left out is below 3e-8
_C7, _C5, _C3 = np.float32(1 / 7), np.float32(1 / 5), np.float32(1 / 3)


class _Work:
    """Buffers for the intermediate results, reused from chunk to chunk: allocating them cost more than the sums."""

    def __init__(self) -> None:
        self._size = 0

    def arrays(self, shape: tuple[int, ...]) -> tuple[F32, F32, F32, F32, NDArray[np.int32]]:
        """Return four float32 arrays and one int32 array of ``shape``, uninitialised."""
        size = math.prod(shape)
        if size > self._size:
            self._size = size
            self._float = np.empty((4, size), np.float32)
            self._int = np.empty(size, np.int32)
        a, b, c, d = (buffer[:size].reshape(shape) for buffer in self._float)
        return a, b, c, d, self._int[:size].reshape(shape)


def _signed_log(x: F32, inverse_scale: F32 | np.float32, work: _Work) -> F32:
    """:func:`signed_log` into a buffer of ``work``, valid until its next use."""
    u, z, square, series, exponent = work.arrays(x.shape)
    np.abs(x, out=u)
    u *= inverse_scale
    u += _ONE
    np.subtract(u.view(np.int32), _SQRT_HALF_BITS, out=exponent)
    exponent >>= 23
    mantissa_bits = z.view(np.int32)
    np.left_shift(exponent, 23, out=mantissa_bits)
    np.subtract(u.view(np.int32), mantissa_bits, out=mantissa_bits)
    np.add(z, _ONE, out=u)
    z -= _ONE
    z /= u
    np.multiply(z, z, out=square)
    np.multiply(square, _C7, out=series)
    series += _C5
    series *= square
    series += _C3
    series *= square
    series += _ONE
    z *= _TWO
    series *= z
    result = square  # no longer needed
    np.copyto(result, exponent, casting="unsafe")
    result *= _LN2
    result += series
    # the result has no sign yet, so the sign bit of x is copysign, at a third of its time
    bits = result.view(np.int32)
    np.bitwise_and(x.view(np.int32), _SIGN_BIT, out=exponent)
    bits |= exponent
    return result


def signed_log(x: F32, inverse_scale: F32 | np.float32) -> F32:
    """Return ``sign(x) * ln(1 + |x| * inverse_scale)``.

    Args:
        x: any shape, float32, finite.
        inverse_scale: ``1/a``, broadcast against ``x``; ``a`` is where the curve bends from linear to logarithmic.

    Returns:
        Same shape as ``x``; within 1.1e-6 of the exact value for results up to 12 (one float32 step there).

    Source: ``ln u = e ln 2 + 2 atanh((m - 1) / (m + 1))`` with ``u = m * 2^e`` and ``m`` in [sqrt(1/2), sqrt(2)).
    """
    return _signed_log(x, inverse_scale, _Work())


@dataclass(frozen=True)
class SignedLog:
    """Pointwise ``slog`` on some feature columns; no state.

    Attributes:
        columns: feature columns it works on.
        scale: the bend ``a`` of each column, in the column's unit (g, rad/s).
    """

    columns: tuple[int, ...]
    scale: tuple[float, ...]

    op = "signed_log"

    def __post_init__(self) -> None:
        if len(self.scale) != len(self.columns) or not all(1e-30 < s < 1e30 for s in self.scale):
            raise ValueError(
                f"signed_log: {len(self.columns)} columns and scales {self.scale}, expected one a column, 1e-30 to 1e30"
            )
        inverse = _ONE / np.asarray(self.scale, np.float32)
        object.__setattr__(self, "_inverse", inverse.astype(np.float32)[:, None])

    @property
    def memory_samples(self) -> int:
        """Earlier samples that an output depends on."""
        return 0

    def apply(self, x: F32, state: Any) -> tuple[F32, Any]:
        """Return ``slog(x)`` of ``[..., len(columns), T]``, valid until the next call, and ``state``: buffers alone."""
        work = state or _Work()
        return _signed_log(x, self._inverse, work), work  # type: ignore[attr-defined]
