"""Operators that move or rename numbers: RESHAPE and its kin, TRANSPOSE, PAD, CONCATENATION, REVERSE_V2."""

from __future__ import annotations

from firmware_export.ops.concat import Concat
from firmware_export.ops.op import FusedActivation
from firmware_export.ops.reverse import Reverse
from firmware_export.tflite_reader import trees
from firmware_export.tflite_reader.reading import Reading, Tensor, canonical
from firmware_export.tflite_reader.series import along_time

MOST_OUR_AXES = 4


def read_reshape(reading: Reading) -> None:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: what the file declares of the output says everything."""
    made, walk = reading.output(), trees.walk_at(reading, 0)
    if walk is not None:
        trees.read_flat(reading, walk)
        return
    if reading.is_constant(0):
        data = reading.constant(0)
        if data.size != made.size:
            raise reading.refuse(f"{list(data.shape)} does not fit into {list(made.shape)}")
        reading.folded[made.index] = data.reshape(made.shape)
        return
    x = reading.tensor(0)
    if canonical(x.shape) == canonical(made.shape):  # only axes of length 1 come and go
        ours = iter([axis for axis in x.axes if axis is not None])
        axes = tuple(next(ours) if n != 1 else None for n in made.shape)
        reading.alias(Tensor(x.value, made.shape, axes))
        return
    target = canonical(made.shape)
    if len(target) > MOST_OUR_AXES:
        raise reading.refuse(f"to {list(made.shape)}, which has more than {MOST_OUR_AXES - 1} axes longer than 1")
    reading.alias(reading.laid(reading.shaped(x, target), made.shape))


def read_transpose(reading: Reading) -> None:
    """Any permutation; it only changes how the tensor's axes are read."""
    order, made = reading.steering(1), reading.output()
    if reading.is_constant(0):
        data = reading.constant(0)
        _check_order(reading, order, data.ndim)
        reading.folded[made.index] = data.transpose(order)
        return
    x = reading.tensor(0)
    _check_order(reading, order, len(x.shape))
    reading.alias(Tensor(x.value, tuple(x.shape[i] for i in order), tuple(x.axes[i] for i in order)))


def read_pad(reading: Reading) -> None:
    """Zeros around the input, for a convolution to take in."""
    x = reading.tensor(0)
    amounts = reading.steering(1)
    if len(amounts) != 2 * len(x.shape) or min(amounts, default=0) < 0:
        raise reading.refuse(f"paddings {list(amounts)} of {list(x.shape)}")
    padding = tuple(zip(amounts[::2], amounts[1::2], strict=True))
    reading.alias(Tensor(x.value, x.shape, x.axes, padding if any(amounts) else ()))


def read_concatenation(reading: Reading) -> None:
    """Along any axis, which comes to lie last."""
    if reading.activation(1) is not FusedActivation.NONE:
        raise reading.refuse("a clamp after a concatenation is not supported")
    made = reading.output()
    parts = [reading.tensor(index) for index in range(len(reading.operator.inputs))]
    rank, axis = len(made.shape), reading.operator.number(0, "i")
    others = [i for i in range(rank) if i != axis % max(rank, 1)]
    if (
        not parts
        or not -rank <= axis < rank
        or any(len(part.shape) != rank or any(part.shape[i] != made.shape[i] for i in others) for part in parts)
    ):
        raise reading.refuse(f"of {[list(part.shape) for part in parts]} along axis {axis} to {list(made.shape)}")
    order = [*others, axis % rank]
    leading = [made.shape[i] for i in others if made.shape[i] != 1]
    if len(leading) > MOST_OUR_AXES - 2:
        raise reading.refuse(f"of {list(made.shape)} along axis {axis}, which leaves more than two axes beside it")
    values = [reading.arranged(part, order, (1, *leading, part.shape[axis])) for part in parts]
    reading.place(reading.emit("concat", values, Concat()), order=order)


def read_reverse_v2(reading: Reading) -> None:
    """One axis from its end to its beginning."""
    x, made = reading.tensor(0), reading.output()
    axes = set(reading.steering(1))
    if not all(-len(x.shape) <= axis < len(x.shape) for axis in axes):
        raise reading.refuse(f"of axes {sorted(axes)} of {list(x.shape)}")
    longer = [axis % len(x.shape) for axis in axes if x.shape[axis] != 1]
    if len(longer) > 1:
        raise reading.refuse(f"of axes {sorted(axes)} of {list(x.shape)}, expected one")
    for axis in longer:
        x = along_time(reading, x, axis, op="reverse", attrs=Reverse(), length=x.shape[axis], name=made.name)
    reading.alias(x)


def _check_order(reading: Reading, order: tuple[int, ...], rank: int) -> None:
    if sorted(order) != list(range(rank)):
        raise reading.refuse(f"permutation {list(order)} of {rank} axes")
