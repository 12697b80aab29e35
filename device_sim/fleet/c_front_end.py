"""The front end of many devices as compiled C: the bits of :class:`edgehar.signal.front_end.FrontEndStream`, sooner."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.fleet.c_library import fleet_library
from edgehar.c_pipeline import pointer
from edgehar.manifest import Manifest
from edgehar.signal.biquad import steady_state
from edgehar.signal.difference import Difference
from edgehar.signal.quantization import LIMITS
from edgehar.signal.signed_log import SignedLog

F32 = NDArray[np.float32]

CHANNELS = 64  # most that the C code has room for
DIFFERENCE, SIGNED_LOG, BIQUAD = range(3)
STEP = np.dtype([(name, np.int32) for name in ("column", "code", "constants", "state")])
TARGET = np.dtype(
    [("column", np.int32), ("place", np.int32)]
    + [(name, np.float32) for name in ("inverse_scale", "zero_point", "low", "high")]
)


class CFrontEnd:
    """Raw samples of a device to rows of int8: the columns of all inputs, one input after another.

    Args:
        manifest: with int8 windows as inputs (:func:`c_front_end`).
        library: compiled.

    Attributes:
        row_bytes: of a row.
        state_size: numbers that it keeps of a device.
    """

    def __init__(self, manifest: Manifest, library: ctypes.CDLL) -> None:
        self._run = library.fleet_front_end
        self._run.restype = ctypes.c_int64
        front_end = manifest.front_end
        steps: list[tuple[int, int, int, int]] = []
        constants: list[np.float32 | float] = []
        self.state_size = len(front_end.channels)
        for column in range(front_end.width):
            for step in front_end.steps:
                for place in [i for i, each in enumerate(step.columns) if each == column]:
                    if isinstance(step, Difference):
                        steps.append((column, DIFFERENCE, len(constants), self.state_size))
                        self.state_size += 1
                    elif isinstance(step, SignedLog):
                        steps.append((column, SIGNED_LOG, len(constants), 0))
                        constants.append(np.float32(1) / np.float32(step.scale[place]))
                    else:
                        for section in step.sections:
                            steps.append((column, BIQUAD, len(constants), self.state_size))
                            constants += [*section, *steady_state(section)]
                            self.state_size += 2
        targets, self.row_bytes = [], 0
        for each in manifest.inputs:
            quant = each.quant
            numbers = (np.float32(1) / np.float32(quant.scale), quant.zero_point, *LIMITS[quant.dtype])
            targets += [(column, self.row_bytes + i, *numbers) for i, column in enumerate(each.columns)]
            self.row_bytes += len(each.columns)
        standardized = bool(front_end.mean)
        sizes = (len(front_end.channels), front_end.width, len(steps), len(targets), self.row_bytes, standardized)
        self._arrays: list[NDArray[Any]] = [
            np.array(sizes, np.int32),
            np.array(front_end.select, np.int32),
            np.array(front_end.gain, np.float32),
            np.array(steps, STEP),
            np.array(constants, np.float32),
            np.array(front_end.mean, np.float32),
            np.array(front_end.inv_std, np.float32),
            np.array(sorted(targets), TARGET),
        ]
        self._pointers = [pointer(array) for array in self._arrays]

    def push(self, state: F32, samples: F32, rows: NDArray[np.int8], *, first: bool) -> int:
        """Take the next samples of a device; returns how many of them had a NaN or infinite value.

        Args:
            state: ``[state_size]`` of the device, 0 at first; is changed.
            samples: ``[T, C]`` contiguous.
            rows: ``[T, row_bytes]`` contiguous; is filled.
            first: the device has seen nothing yet.
        """
        count = ctypes.c_int64(len(samples))
        places = pointer(state), ctypes.c_int32(first), pointer(samples), count, pointer(rows)
        return int(self._run(*self._pointers, *places))


def c_front_end(manifest: Manifest) -> CFrontEnd | None:
    """Return a bundle's front end in C; None where numpy has to do it.

    That is where an input is not a window of int8, or where there is no C compiler that takes the source.
    """
    inputs = manifest.inputs
    if any(each.features is not None or each.quant.dtype != "int8" for each in inputs):
        return None
    if len(manifest.channels) > CHANNELS:
        return None
    library = fleet_library()
    return None if library is None else CFrontEnd(manifest, library)
