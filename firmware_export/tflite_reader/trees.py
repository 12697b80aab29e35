"""Decision trees as our writer lays them out: every node compares at once, then each tree walks down its own answers.

GATHER of columns, GREATER, CAST and RESHAPE give the answers of all nodes. A level is a GATHER of the answers at the
trees' places, a CAST, and ``place = 2 place + answer`` in one or two ADDs; a last ADD and a GATHER find the leaves.
Nothing is emitted before that: a :class:`Walk` remembers how far along the pattern a tensor is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_export.graph import Quantization, Value
from firmware_export.ops.forest import Forest
from firmware_export.tflite_reader.reading import Reading, Stage

DEEPEST = 24  # levels: 2^24 leaves are beyond every file we read


class Step(Enum):
    """What a tensor of the pattern holds."""

    COLUMNS = "the column that each node compares"
    ANSWERS = "the answer of each node"
    ANSWER = "the answer at each tree's place"
    TWICE = "twice each tree's place"
    PLACE = "each tree's place"
    LEAF = "each tree's leaf"


@dataclass(frozen=True, eq=False)
class Walk(Stage):
    """A tensor inside the pattern.

    Attributes:
        step: what it holds.
        row: our value that the nodes compare columns of.
        columns: of each node.
        thresholds: of each node, None before GREATER.
        trees: how many there are, 0 before the first level.
        level: how many comparisons led to the places.
    """

    step: Step
    row: str
    columns: NDArray[np.int32]
    thresholds: NDArray[Any] | None = None
    trees: int = 0
    level: int = 0


def walk_at(reading: Reading, index: int) -> Walk | None:
    """Return the walk that an input is part of, None if it is part of none."""
    found = reading.stages.get(reading.operator.inputs[index]) if reading.has(index) else None
    return found if isinstance(found, Walk) else None


def read_columns(reading: Reading) -> None:
    """GATHER of many columns of a row: the beginning."""
    x, columns = reading.tensor(0), reading.constant(1)
    features = x.shape[-1] if x.shape else 0
    inside = columns.dtype.kind == "i" and columns.ndim == 1 and columns.size and features
    if not inside or columns.min() < 0 or columns.max() >= features or features != int(np.prod(x.shape)):
        raise reading.refuse(
            f"{columns.dtype}{list(columns.shape)} places of {list(x.shape)}, expected columns of a row"
        )
    row = reading.shaped(x, (1, features))
    _continue(reading, Walk(Step.COLUMNS, row, columns.astype(np.int32)))


def read_greater(reading: Reading) -> None:
    """Each node's column against its threshold."""
    walk, thresholds = walk_at(reading, 0), reading.constant(1)
    if walk is None or walk.step is not Step.COLUMNS or thresholds.size != walk.columns.size:
        raise reading.refuse("only comparisons of gathered columns with as many constants are supported: trees")
    value = reading.values[walk.row]
    quant = value.quant
    if thresholds.dtype.name != value.dtype or (quant is not None and reading.file_tensor(1).quant != quant):
        raise reading.refuse(f"thresholds {thresholds.dtype} in another type or scale than the row's {value.dtype}")
    _continue(reading, replace(walk, step=Step.ANSWERS, thresholds=thresholds.reshape(-1)))


def read_cast(reading: Reading) -> None:
    """Answers as numbers."""
    walk = walk_at(reading, 0)
    if walk is None or walk.step not in (Step.ANSWERS, Step.ANSWER):
        raise reading.refuse("only casts of the answers of trees are supported")
    _continue(reading, walk)


def read_answers_at(reading: Reading, walk: Walk) -> None:
    """GATHER of the answers at the trees' places; their roots are constants."""
    places = walk_at(reading, 1)
    if walk.step is Step.ANSWERS and places is None:
        roots = reading.constant(1)
        if roots.ndim == 1 and np.array_equal(roots, np.arange(roots.size, 2 * roots.size)) and roots.size:
            _continue(reading, replace(walk, step=Step.ANSWER, trees=roots.size))
            return
    elif places is not None and places.step is Step.PLACE and _same(walk, places) and places.level < DEEPEST:
        _continue(reading, replace(places, step=Step.ANSWER))
        return
    raise reading.refuse("answers of trees are gathered at places that are no heap's")


def read_step(reading: Reading) -> None:
    """ADD inside of the pattern: of two places, of twice a place and an answer, or of a place and minus the nodes."""
    a, b = walk_at(reading, 0), walk_at(reading, 1)
    if a is not None and a is b and a.step is Step.PLACE:
        _continue(reading, replace(a, step=Step.TWICE))
    elif a and b and _same(a, b) and (a.step, b.step, a.level) == (Step.TWICE, Step.ANSWER, b.level):
        _continue(reading, replace(b, step=Step.PLACE, level=b.level + 1))
    elif a is None and b is not None and b.step is Step.ANSWER and b.level == 0:
        if not np.array_equal(reading.constant(0), 2 * np.arange(b.trees, 2 * b.trees)):
            raise reading.refuse("the first places of trees are no heap's")
        _continue(reading, replace(b, step=Step.PLACE, level=1))
    elif a is not None and b is None and a.step is Step.PLACE:
        if a.trees << a.level != a.columns.size or (reading.constant(1) != -a.columns.size).any():
            raise reading.refuse(f"{a.trees} trees of {a.level} levels have {a.columns.size} nodes")
        _continue(reading, replace(a, step=Step.LEAF))
    else:
        raise reading.refuse("a sum that is no step of trees")


def _same(a: Walk, b: Walk) -> bool:
    """Return whether two tensors belong to the walk of the same trees."""
    return a.thresholds is b.thresholds


def read_leaves(reading: Reading, walk: Walk) -> None:
    """GATHER of the leaves: the end, which emits the op."""
    table, source = reading.constant(0), reading.file_tensor(0)
    row = reading.values[walk.row]
    if walk.step is not Step.LEAF or walk.thresholds is None or table.ndim != 2 or table.dtype.name != row.dtype:
        raise reading.refuse(f"leaves {table.dtype}{list(table.shape)}, expected a row of {row.dtype} a leaf")
    quantized = row.quant is not None
    quant = source.quant if quantized else None
    if quantized and reading.output().quant != quant:
        raise reading.refuse("leaves in another scale than the table they come from")
    columns = reading.name(f"{reading.output().name}/columns")
    unit = Quantization((1.0,)) if quantized else None
    reading.values[columns] = Value(columns, walk.columns.shape, "int32", unit, walk.columns)
    thresholds = reading.add_constant(f"{reading.output().name}/thresholds", walk.thresholds, row.quant)
    leaves = reading.add_constant(source.name, table, quant)
    inputs = (walk.row, columns, thresholds, leaves)
    reading.place(reading.add("forest", inputs, Forest(walk.level), name=reading.output().name, quant=quant))


def read_flat(reading: Reading, walk: Walk) -> None:
    """RESHAPE of the answers to one axis."""
    if walk.step is not Step.ANSWERS:
        raise reading.refuse("only the answers of trees are reshaped on the way")
    _continue(reading, walk)


def _continue(reading: Reading, walk: Walk) -> None:
    index = reading.output().index
    if index in reading.stages or index in reading.tensors:
        raise reading.refuse(f"{reading.output()} is computed a second time")
    reading.stages[index] = walk
