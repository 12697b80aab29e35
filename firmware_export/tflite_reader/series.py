"""An op over time of ours along any axis of the file."""

from __future__ import annotations

import math

from firmware_export.graph import Attrs
from firmware_export.tflite_reader.reading import Reading, Tensor


def along_time(reading: Reading, x: Tensor, axis: int, *, op: str, attrs: Attrs, length: int, name: str) -> Tensor:
    """Append an op over the time of ``[1, T, C]`` with the file's ``axis`` as time; return what it makes.

    Args:
        reading: of the operator.
        x: without padding; ``axis`` is longer than 1.
        axis: of the file.
        op: keeps everything but the length of time.
        attrs: its settings.
        length: of time afterwards.
        name: of the new value.
    """
    value = reading.values[x.value]
    shape = tuple(length if i == axis else n for i, n in enumerate(x.shape))
    others = [i for i in range(len(x.shape)) if i != axis]
    if x.axes[axis] == 1 and len(value.shape) == 3:
        last = [i for i in others if x.axes[i] is not None]
        made = reading.add(op, (x.value,), attrs, name=name, quant=value.quant)
        return reading.laid(made, shape, [axis, *last])
    rest = math.prod(x.shape[i] for i in others)
    series = reading.arranged(x, [axis, *others], (1, x.shape[axis], rest))
    made = reading.add(op, (series,), attrs, name=name, quant=value.quant)
    longer = [shape[i] for i in others if shape[i] != 1]
    return reading.laid(reading.reshaped(made, (1, length, *longer)), shape, [axis, *others])
