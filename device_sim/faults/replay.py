"""What the device gets of a recording when there are faults: steady samples, and where in the recording they belong.

The samples go through the faults and the device's resampler. What comes out is a piece for each time that the device
forgets the past: after a gap, a clock that was set, a reboot. Pieces lie on one line of sample periods, the device's
own, with places between them for what was missed; for each place it is known which sample of the recording was taken
then, and so what the person really did, also while the device heard nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from device_sim.faults.chain import FaultChain
from device_sim.faults.spec import FaultSpec
from device_sim.faults.taken import Setting, Taken, join
from device_sim.resampling import Resampler
from device_sim.stamped import Stamped
from edgehar.recording import Recording

I64 = NDArray[np.int64]

ON_TIME = 0.01  # of a period: a true time rounded to microseconds still belongs to its own sample


@dataclass(frozen=True, eq=False)
class Piece:
    """Steady samples without a break.

    Attributes:
        first: place of the first one.
        samples: ``[M, C]`` float32, NaN and infinite values among them.
    """

    first: int
    samples: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Disturbed:
    """A recording as a device with faults gets it.

    Attributes:
        pieces: in order, without overlap.
        rows: ``[T]`` int64 sample of the recording at each place.
        touched: samples that each fault changed, added or took away.
        device: what the device did: samples that were ``late`` or ``duplicates`` and dropped, grid points
            ``interpolated`` where samples were missing, ``breaks`` after which it forgot the past, and ``reboots``.
    """

    pieces: tuple[Piece, ...]
    rows: I64
    touched: Mapping[str, int]
    device: Mapping[str, int]


def disturb(recording: Recording, faults: Sequence[FaultSpec], seed: int) -> Disturbed:
    """Return what the device gets of a recording.

    Args:
        recording: what was recorded; taken as what really happened.
        faults: in the order in which a sample meets them.
        seed: of everything that is random.
    """
    chain = FaultChain(faults, Setting(recording.rate_hz, recording.channels), seed, recording.name)
    whole = taken_of(recording)
    taken = join([chain.push(whole), chain.finish(whole.rows(np.empty(0, np.int64)))])
    line = _Line(recording)
    counts = dict.fromkeys(("late", "duplicates", "interpolated", "breaks"), 0)
    boots = np.unique(taken.boot)
    for boot in boots.tolist():
        mine = taken.rows(taken.boot == boot)
        resampler = Resampler(recording.rate_hz)
        steady = resampler.push(Stamped(mine.t_us, mine.samples))
        true_us = mine.true_us.astype(np.float64)
        at_us = true_us[steady.left] + steady.weight * (true_us[steady.right] - true_us[steady.left])
        edges = [0, *steady.breaks, len(steady)]
        for start, stop in pairwise(edges):
            line.put(steady.samples[start:stop], at_us[start:stop])
        for name in counts:
            counts[name] += getattr(resampler, name)
    counts["reboots"] = int(taken.boot.max(initial=0))
    if not line.pieces:
        line.pieces.append(Piece(0, taken.samples))  # nothing came through: a piece of no samples
    return Disturbed(tuple(line.pieces), line.rows(), chain.touched, counts)


def undisturbed(recording: Recording) -> Disturbed:
    """Return a recording as a device without faults gets it: one piece, sample by sample."""
    samples = recording.samples
    return Disturbed((Piece(0, samples),), np.arange(len(samples), dtype=np.int64), {}, {})


def taken_of(recording: Recording) -> Taken:
    """Return a recording's samples with the stamps of a perfect clock."""
    true_us = np.rint(np.arange(len(recording.samples)) * 1e6 / recording.rate_hz).astype(np.int64)
    return Taken(true_us, recording.samples, true_us, np.zeros(len(true_us), np.int64))


class _Line:
    """Pieces on the device's line of sample periods, and the recording's sample at each place."""

    def __init__(self, recording: Recording) -> None:
        self.pieces: list[Piece] = []
        self._per_us = recording.rate_hz / 1e6
        self._length = len(recording.samples)
        self._rows: list[I64] = []
        self._end = 0
        self._row = -1  # of the last place

    def put(self, samples: NDArray[np.float32], at_us: NDArray[np.float64]) -> None:
        """Add a piece whose samples were truly taken at ``at_us``."""
        rows = np.floor(at_us * self._per_us + ON_TIME).astype(np.int64).clip(0, self._length - 1)
        if len(rows) == 0:
            return
        self._skip(int(rows[0]))
        self.pieces.append(Piece(self._end, samples))
        self._rows.append(rows)
        self._end += len(rows)
        self._row = int(rows[-1])

    def rows(self) -> I64:
        """Return the sample of the recording at each place, up to its end."""
        self._skip(self._length)
        return np.concatenate([np.empty(0, np.int64), *self._rows])

    def _skip(self, row: int) -> None:
        """Leave room for what was missed before ``row``."""
        missed = np.arange(self._row + 1, row, dtype=np.int64)
        self._rows.append(missed)
        self._end += len(missed)
        self._row = max(self._row, row - 1)
