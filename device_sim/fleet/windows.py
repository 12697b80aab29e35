"""From raw samples of many devices to the tensors of their complete windows: in numpy, or in C where it can."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from device_sim.feeds import summed_up
from device_sim.fleet.c_front_end import CFrontEnd, c_front_end
from edgehar.manifest import Manifest, ModelInput

F32 = NDArray[np.float32]


class Windows(Protocol):
    """Front end and windows of D devices that have all seen the same number of samples, or have ended.

    Attributes:
        invalid: ``[D]`` samples with a NaN or infinite value; the channel's last good value stood in for it.
        state_bytes: most that is kept of each device between two pushes.
    """

    invalid: NDArray[np.int64]
    state_bytes: int

    def push(self, samples: F32, counts: NDArray[np.int64], complete: NDArray[np.bool_]) -> list[NDArray[Any]]:
        """Take the next samples ``[D, T, C]`` and return the tensors of complete windows, ``[M, ...]`` an input.

        Args:
            samples: the first ``counts[d]`` of device d are its own.
            counts: ``[D]``.
            complete: ``[D, N]`` for the N windows that end in these T samples, whether each device has seen its last
                sample; the M windows that are true here come out, device after device.
        """
        ...


def windows_of(manifest: Manifest, devices: int) -> Windows:
    """Return what is quicker of those that this computer has."""
    front_end = c_front_end(manifest)
    return NumpyWindows(manifest, devices) if front_end is None else CompiledWindows(manifest, front_end, devices)


class NumpyWindows:
    """All devices in one array."""

    def __init__(self, manifest: Manifest, devices: int) -> None:
        self._front_end = manifest.front_end.stream()
        self._inputs = tuple(_Input(each, manifest.window, devices) for each in manifest.inputs)
        self._hop = manifest.hop
        self._good = np.zeros((devices, len(manifest.channels)), np.float32)
        self.invalid = np.zeros(devices, np.int64)
        rows = sum((manifest.window - 1) * each.row_bytes for each in self._inputs)
        self.state_bytes = rows + (self._good.nbytes + self.invalid.nbytes) // devices

    def push(self, samples: F32, counts: NDArray[np.int64], complete: NDArray[np.bool_]) -> list[NDArray[Any]]:
        """Take ``[D, T, C]``."""
        columns = self._front_end.push(self._repaired(samples, counts))
        return [each.push(columns, complete, self._hop) for each in self._inputs]

    def _repaired(self, samples: F32, counts: NDArray[np.int64]) -> F32:
        """Hold each channel's last good value where there is none, and put 0 after the end of a stream."""
        steps = samples.shape[1]
        past = np.arange(steps)[None, :] >= counts[:, None]
        if past.any():
            samples = np.where(past[:, :, None], np.float32(0), samples)
        finite = np.isfinite(samples)
        if not finite.all():
            self.invalid += (~finite.all(axis=2)).sum(axis=1)
            held = np.concatenate([self._good[:, None], samples], axis=1)
            row = np.where(finite, np.arange(1, steps + 1)[None, :, None], 0)
            np.maximum.accumulate(row, axis=1, out=row)
            samples = np.take_along_axis(held, row, axis=1)
        self._good = samples[:, -1].copy()
        return samples


class _Input:
    """The rows that one input of the network still needs, of all devices: those from the next window's first on."""

    def __init__(self, source: ModelInput, window: int, devices: int) -> None:
        self._source, self._window = source, window
        self._early = source.features is None  # quantized as they come; features are made of float32
        self._tail: NDArray[Any] = np.empty(
            (devices, 0, len(source.columns)), source.quant.dtype if self._early else np.float32
        )
        self.row_bytes = len(source.columns) * self._tail.itemsize
        self._skip = 0  # rows to come before the next window's first

    def push(self, columns: F32, complete: NDArray[np.bool_], hop: int) -> NDArray[Any]:
        """Take columns ``[D, T, F]``; returns tensors of the windows for which ``complete`` ``[D, N]`` is true."""
        source = self._source
        rows = source.pick(columns[:, self._skip :])
        self._skip -= columns.shape[1] - rows.shape[1]
        joined = np.concatenate([self._tail, source.quant.quantize(rows) if self._early else rows], axis=1)
        done = complete.shape[1] * hop
        self._tail = joined[:, done:].copy()
        self._skip += max(0, done - joined.shape[1])
        return self._tensors(joined, complete, hop)

    def _tensors(self, rows: NDArray[Any], complete: NDArray[np.bool_], hop: int) -> NDArray[Any]:
        source, window = self._source, self._window
        if not complete.any():
            return np.empty((0, *source.shape(window)), source.quant.dtype)
        windows = np.lib.stride_tricks.sliding_window_view(rows, window, axis=1)[:, ::hop]
        chosen = np.ascontiguousarray(windows[complete].swapaxes(-1, -2))
        return chosen if source.features is None else source.quant.quantize(summed_up(source.features, chosen))


class CompiledWindows:
    """One device after another, each block of its samples in one pass through the cache."""

    def __init__(self, manifest: Manifest, front_end: CFrontEnd, devices: int) -> None:
        self._front_end = front_end
        self._window, self._hop = manifest.window, manifest.hop
        self._widths = [len(each.columns) for each in manifest.inputs]
        self._state = np.zeros((devices, front_end.state_size), np.float32)
        self._tail = np.empty((devices, 0, front_end.row_bytes), np.int8)
        self._skip = 0  # rows to come before the next window's first
        self._first = True
        self.invalid = np.zeros(devices, np.int64)
        rows = (manifest.window - 1) * front_end.row_bytes
        self.state_bytes = rows + (self._state.nbytes + self.invalid.nbytes) // devices

    def push(self, samples: F32, counts: NDArray[np.int64], complete: NDArray[np.bool_]) -> list[NDArray[Any]]:
        """Take ``[D, T, C]``."""
        devices, steps = samples.shape[:2]
        kept = self._tail.shape[1]
        rows = np.empty((devices, kept + steps, self._front_end.row_bytes), np.int8)
        rows[:, :kept] = self._tail
        for device, count in enumerate(counts.tolist()):
            if count:
                own = np.ascontiguousarray(samples[device, :count])
                into = rows[device, kept : kept + count]
                self.invalid[device] += self._front_end.push(self._state[device], own, into, first=self._first)
        self._first = False
        dropped = min(self._skip, steps)  # the tail is empty where there are rows to skip
        rows, self._skip = rows[:, dropped:], self._skip - dropped
        done = complete.shape[1] * self._hop
        self._tail = rows[:, done:].copy()
        self._skip += max(0, done - rows.shape[1])
        return self._tensors(rows, complete)

    def _tensors(self, rows: NDArray[np.int8], complete: NDArray[np.bool_]) -> list[NDArray[Any]]:
        width = self._front_end.row_bytes
        chosen = np.empty((int(complete.sum()), self._window, width), np.int8)
        at = 0
        for device, count in enumerate(complete.sum(axis=1).tolist()):
            if count:
                shape, (row, byte) = (count, self._window, width), rows[device].strides
                strides = (self._hop * row, row, byte)
                chosen[at : at + count] = np.lib.stride_tricks.as_strided(rows[device], shape, strides, writeable=False)
                at += count
        if len(self._widths) == 1:
            return [chosen]
        return list(np.split(chosen, np.cumsum(self._widths)[:-1], axis=2))
