"""The steady grid that a device brings time-stamped samples to, in whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

MICROSECONDS = 1_000_000
TICKS_PER_US = 1000  # at most: a period is then right to a millionth of a microsecond, or exact
TICKS_LIMIT = 2**31  # a step of one gap in ticks is an int32, and a period more no overflow of uint32
GAP_US = 1_000_000  # docs/decisions/0020
GAP_PERIODS = 4  # and of slow rates so many periods


@dataclass(frozen=True)
class Grid:
    """Grid points lie ``period_ticks`` apart; a microsecond has ``ticks_per_us``.

    At 50 Hz a tick is a microsecond and a period 20,000 of them; at 26 Hz a period of 38,461.54 µs is 500,000 ticks.

    Attributes:
        ticks_per_us: at least 1.
        period_ticks: from grid point to grid point.
        gap_us: the longest step between two samples that is bridged.
    """

    ticks_per_us: int
    period_ticks: int
    gap_us: int


def grid_of(rate_hz: float, gap_us: int | None = None) -> Grid:
    """Return the grid of a rate.

    Args:
        rate_hz: samples a second.
        gap_us: the longest step between two samples that is bridged, in microseconds; None: ``GAP_US`` or
            ``GAP_PERIODS``, whichever is longer.

    Raises:
        ValueError: the rate or the gap is not positive, or takes more than 31 bits.
    """
    if not 0 < rate_hz < MICROSECONDS:
        raise ValueError(f"rate_hz is {rate_hz}, expected more than 0 and less than a million")
    period_us = MICROSECONDS / Fraction(rate_hz)
    if gap_us is None:
        gap_us = max(GAP_US, round(GAP_PERIODS * period_us))
    if not 0 < max(gap_us, round(2 * period_us)) < TICKS_LIMIT or gap_us < 1:
        raise ValueError(
            f"steps of {gap_us} µs at {rate_hz:g} Hz: expected 1 µs or more, less than 2^31 for a step and 2^30 for a "
            "period"
        )
    period = period_us.limit_denominator(min(TICKS_PER_US, (TICKS_LIMIT - 1) // max(gap_us, round(2 * period_us))))
    return Grid(period.denominator, period.numerator, gap_us)
