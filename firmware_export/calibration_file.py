"""Windows from a file of the user's, ``.npz``, ``.npy`` or ``.csv``, for a network that came without its data."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.errors import UsageError
from firmware_export.graph import Graph, Value

Array = NDArray[Any]


def read_windows(path: Path, graph: Graph) -> tuple[Array, ...]:
    """Return windows ``[N, ...]`` of each input, float32, or int8 where the file has the integers of an int8 input.

    ``.npz``: an array an input under the input's name (any name where there is one input), as the graph or, channels
    first, as the model's file has it. ``.csv``: a row a sample, a column a channel, cut into windows without overlap;
    of an input ``[1, K]`` a row a window.

    Raises:
        UsageError: the file cannot be read, or its windows do not fit the inputs.
    """
    if path.suffix == ".csv":
        arrays = _from_csv(path, graph)
    elif path.suffix in (".npz", ".npy"):
        arrays = _from_numpy(path, graph)
    else:
        raise UsageError(f"{path}: expected .npz, .npy or .csv")
    windows = tuple(_fitted(path, array, graph.values[name]) for name, array in zip(graph.inputs, arrays, strict=True))
    if len({len(array) for array in windows}) != 1 or not len(windows[0]):
        counts = [len(array) for array in windows]
        raise UsageError(f"{path}: {counts} windows of the inputs, expected as many of each, and at least one")
    return windows


def _from_numpy(path: Path, graph: Graph) -> list[Array]:
    try:
        with path.open("rb") as stream:
            loaded: Any = np.load(stream, allow_pickle=False)
            arrays: Mapping[str, Array] = dict(loaded) if path.suffix == ".npz" else {graph.inputs[0]: loaded}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: cannot be read as arrays ({error})") from None
    if len(graph.inputs) == 1 and len(arrays) == 1:
        return list(arrays.values())
    missing = [name for name in graph.inputs if name not in arrays]
    if missing:
        raise UsageError(f"{path} holds {', '.join(arrays)}, expected an array called {', '.join(missing)}")
    return [arrays[name] for name in graph.inputs]


def _from_csv(path: Path, graph: Graph) -> list[Array]:
    (first, *others), values = graph.inputs, graph.values
    shape = values[first].shape
    if others or len(shape) not in (2, 3):
        raise UsageError(f"{path}: a .csv serves networks with one input [1, T, C] or [1, K]; use .npz")
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.reader(stream) if row]
        header = 1 if rows and not _is_number(rows[0][0]) else 0
        table = np.asarray([[float(cell) for cell in row] for row in rows[header:]], np.float32)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as a table of numbers ({error})") from None
    columns = table.shape[1] if table.ndim == 2 else 0
    if len(shape) == 2 and columns == shape[1]:
        return [table]
    if len(shape) == 3 and columns in shape[1:]:
        steps = shape[1] if columns == shape[2] else shape[2]  # an input may be [1, C, T] too
        count = len(table) // steps
        windows = table[: count * steps].reshape(count, steps, columns)
        return [windows if columns == shape[2] else np.moveaxis(windows, 1, 2)]
    raise UsageError(f"{path}: {columns} columns, the input {first!r} is {list(shape)}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _fitted(path: Path, array: Array, value: Value) -> Array:
    expected = value.shape[1:]
    if array.ndim == len(expected) + 2 and array.shape[1] == 1:  # a batch of 1 a window
        array = array[:, 0]
    if array.ndim == len(value.shape) > 2 and array.shape[1:] == (expected[-1], *expected[:-1]) != expected:
        array = np.moveaxis(array, 1, -1)
    if array.shape[1:] != expected or array.dtype.kind not in "fiu":
        raise UsageError(
            f"{path}: windows are {array.dtype}{list(array.shape)}, the input {value.name!r} takes "
            f"[N, {', '.join(map(str, expected))}]"
        )
    if array.dtype == np.int8 and value.dtype == "int8":
        return np.ascontiguousarray(array)
    return np.ascontiguousarray(array, np.float32)
