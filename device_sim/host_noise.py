"""How much of a latency is this computer's and not the device's: gaps in a loop that does nothing but read the clock.

Whatever else runs here, and the operating system itself, takes the processor away now and then; a measured stage that
is hit by it looks slow. The same happens to an idle loop, where nothing else can be slow, so its gaps are what
latencies are to be read against: a longest decision no longer than the loop's longest gap may be the host's doing.

Source: the method is that of sysjitter (Riddoch) and of jHiccup (Tene), with a loop in place of sleep.
"""

from __future__ import annotations

import operator
from collections import Counter

from device_sim.telemetry import Histogram, clock_ns

MEASURE_S = 0.015  # before a run and after it: some ticks and time slices of an operating system


def measure_host_noise(seconds: float = MEASURE_S) -> Histogram:
    """Return the gaps between consecutive readings of the clock. Takes ``seconds``, one processor busy."""
    stamps = [clock_ns()]
    end = stamps[0] + round(seconds * 1e9)
    while stamps[-1] < end:
        stamps.append(clock_ns())
    gaps = Histogram()
    for gap, times in Counter(map(operator.sub, stamps[1:], stamps)).items():
        gaps.record(gap, times)
    return gaps
