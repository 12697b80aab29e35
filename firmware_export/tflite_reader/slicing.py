"""SLICE, STRIDED_SLICE, SPLIT and GATHER of one place: a stretch of each axis."""

from __future__ import annotations

from collections.abc import Sequence

from firmware_export.ops.crop1d import Crop1d
from firmware_export.tflite_reader import trees
from firmware_export.tflite_reader.reading import Reading, Tensor, canonical
from firmware_export.tflite_reader.series import along_time


def read_slice(reading: Reading) -> None:
    """Begin and size of every axis; size -1 is all that follows."""
    x = reading.tensor(0)
    begin, size = reading.steering(1), reading.steering(2)
    if len(begin) != len(x.shape) or len(size) != len(x.shape):
        raise reading.refuse(f"begin {list(begin)} and size {list(size)} of {list(x.shape)}")
    lengths = [n - b if s == -1 else s for n, b, s in zip(x.shape, begin, size, strict=True)]
    _place(reading, _cropped(reading, x, begin, lengths))


def read_strided_slice(reading: Reading) -> None:
    """Begin and end of every axis, with steps of 1; masks as in Python's own slices."""
    x = reading.tensor(0)
    begin, end, steps = (reading.steering(i) for i in (1, 2, 3))
    begins, ends, ellipsis, new, shrink = (reading.operator.number(field, "i") for field in range(5))
    if not len(begin) == len(end) == len(steps) == len(x.shape) or set(steps) - {1} or ellipsis or new:
        raise reading.refuse(
            f"begin {list(begin)}, end {list(end)}, steps {list(steps)} of {list(x.shape)}; expected one of each an "
            "axis, steps of 1, and no new axes"
        )
    starts, lengths = [], []
    for axis, n in enumerate(x.shape):
        start = begin[axis] + n if begin[axis] < 0 else begin[axis]
        stop = start + 1 if shrink >> axis & 1 else end[axis]
        kept = range(n)[None if begins >> axis & 1 else start : None if ends >> axis & 1 else stop]
        starts.append(kept.start)
        lengths.append(len(kept))
    _place(reading, _cropped(reading, x, starts, lengths))


def read_split(reading: Reading) -> None:
    """Equal stretches along a constant axis, which is input 0."""
    x, outputs = reading.tensor(1), len(reading.operator.outputs)
    rank, axis = len(x.shape), sum(reading.steering(0))
    if len(reading.steering(0)) != 1 or not -rank <= axis < rank or x.shape[axis] % max(outputs, 1):
        raise reading.refuse(f"of {list(x.shape)} along axis {axis} into {outputs}")
    axis %= rank
    length = x.shape[axis] // outputs
    lengths = [length if i == axis else n for i, n in enumerate(x.shape)]
    for output in range(outputs):
        starts = [output * length if i == axis else 0 for i in range(rank)]
        _place(reading, _cropped(reading, x, starts, lengths, output), output)


def read_gather(reading: Reading) -> None:
    """One place of an axis by a constant index, which drops the axis; or a step of trees."""
    answers, places = trees.walk_at(reading, 0), trees.walk_at(reading, 1)
    if answers is not None:
        trees.read_answers_at(reading, answers)
        return
    if places is not None:
        trees.read_leaves(reading, places)
        return
    if reading.constant(1).size > 1:
        trees.read_columns(reading)
        return
    x, indices = reading.tensor(0), reading.steering(1)
    axis = reading.operator.number(0, "i")
    rank = len(x.shape)
    if len(indices) != 1 or not -rank <= axis < rank or reading.operator.number(1, "i"):
        raise reading.refuse(f"{len(indices)} places of axis {axis} of {list(x.shape)}, expected one")
    axis %= rank
    starts = [indices[0] if i == axis else 0 for i in range(rank)]
    lengths = [1 if i == axis else n for i, n in enumerate(x.shape)]
    _place(reading, _cropped(reading, x, starts, lengths))


def _cropped(reading: Reading, x: Tensor, starts: Sequence[int], lengths: Sequence[int], output: int = 0) -> Tensor:
    for axis, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        n = x.shape[axis]
        if start < 0 or length < 1 or start + length > n:
            raise reading.refuse(f"{length} from {start} on of axis {axis} of {list(x.shape)}")
        if length < n:
            name = reading.output(output).name
            x = along_time(reading, x, axis, op="crop1d", attrs=Crop1d(start, length), length=length, name=name)
    return x


def _place(reading: Reading, x: Tensor, output: int = 0) -> None:
    """Let a tensor be an output, which may have dropped axes of length 1."""
    made = reading.output(output)
    if canonical(made.shape) != canonical(x.shape):
        raise reading.refuse(f"it makes {list(x.shape)}, the file declares {list(made.shape)}")
    ours = iter([axis for axis in x.axes if axis is not None])
    reading.alias(Tensor(x.value, made.shape, tuple(next(ours) if n != 1 else None for n in made.shape)), output)
