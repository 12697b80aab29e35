"""The filter of the decision stage in C: the bits of :class:`device_sim.decisions.hmm.HmmSmoothing`, sooner."""

from __future__ import annotations

import ctypes

import numpy as np

from device_sim.decisions.hmm import HmmSmoothing
from device_sim.decisions.numbers import Floats, Labels
from device_sim.decisions.smoothing import Smoothing
from device_sim.decisions.stage import SMOOTHINGS
from device_sim.fleet.c_library import fleet_library
from edgehar.c_pipeline import pointer
from edgehar.decision_spec import DecisionSpec

LABELS = 64  # most that the C code has room for


class CFilter:
    """One device's filter."""

    def __init__(self, spec: DecisionSpec, labels: int) -> None:
        library = fleet_library()
        assert library is not None
        assert spec.grammar is not None
        self._run = library.fleet_filter
        self._run.restype = None
        self._own = len(spec.grammar.transitions)
        grammar = spec.grammar.extended(labels - self._own)
        self._transitions = np.array(grammar.transitions, np.float32)
        self._rarity = np.array(grammar.rarity, np.float32)
        self._numbers = [ctypes.c_int32(number) for number in (labels, self._own, spec.lag)]
        self._kept = np.zeros(1, np.int32)
        self._state = np.zeros((2, spec.lag + 1, labels), np.float32)

    def reset(self) -> None:
        """Forget the past."""
        self._kept[0] = 0

    def update(self, probabilities: Floats) -> tuple[Labels, Floats]:
        """Return labels and their probabilities of float32 ones ``[N, K]``."""
        given = np.ascontiguousarray(probabilities, np.float32)
        out = np.empty_like(given)
        arrays = (self._transitions, self._rarity, self._kept, self._state, given)
        self._run(*self._numbers, *map(pointer, arrays), ctypes.c_int64(len(given)), pointer(out))
        return out.argmax(axis=1).astype(np.int16), out


def quickest_filter(spec: DecisionSpec, labels: int) -> Smoothing:
    """Return the filter in C; that in numpy where there is no compiler, or no room for so many labels."""
    if fleet_library() is None or labels > LABELS or spec.grammar is None:
        return HmmSmoothing(spec, labels)
    return CFilter(spec, labels)


QUICKEST = {**SMOOTHINGS, "hmm": quickest_filter}
