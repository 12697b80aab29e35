"""How ``forest`` is written in TFLite: every node compares at once, then each tree walks down its own answers."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from firmware_export.graph import Node, Shape
from firmware_export.ops.forest import Forest, trees
from firmware_export.targets.tflite.attrs import attrs_of
from firmware_export.targets.tflite.writer import Writer

_CODE = schema.BuiltinOperator
_KIND = schema.BuiltinOptions


def emit_forest(writer: Writer, node: Node) -> None:
    """GATHER, GREATER, then GATHER, CAST and ADD a level, and a GATHER of leaves.

    The walk is int32: ``p = 2 p + answer[p]``. Answers are int8 between, as TFLite Micro gathers no bool and no int32.
    """
    attrs = attrs_of(node, Forest)
    leaves, name = writer.graph.values[node.inputs[3]], node.output
    count, size, classes = trees(attrs, leaves.shape), *leaves.shape
    row = writer.plain(node.inputs[0])
    chosen = writer.scratch(f"{name}/compared", (1, size), node.inputs[0])
    columns = writer.graph.values[node.inputs[1]].data
    _gather(writer, row, writer.numbers(f"{name}/columns", columns), chosen, axis=1)
    answers = writer.steering(f"{name}/greater", (1, size), "bool")
    limits = writer.constant(node.inputs[2], (1, size), axis=None)
    writer.operator(_CODE.GREATER, [chosen, limits], [answers], (_KIND.GreaterOptions, schema.GreaterOptionsT()))
    numbers = _cast(writer, answers, f"{name}/answers", (1, size), "int8")
    flat = writer.steering(f"{name}/flat", (size,), "int8")
    writer.reshape(numbers, flat)

    roots = np.arange(count, 2 * count)
    place, twice = writer.numbers(f"{name}/roots", roots), writer.numbers(f"{name}/first", 2 * roots)
    for level in range(attrs.depth):
        answer = writer.steering(f"{name}/answer{level}", (count,), "int8")
        _gather(writer, flat, place, answer, axis=0)
        step = _cast(writer, answer, f"{name}/step{level}", (count,), "int32")
        if level:
            twice = _add(writer, place, place, f"{name}/twice{level}", count)
        place = _add(writer, twice, step, f"{name}/place{level}", count)
    offset = writer.numbers(f"{name}/offset", np.full(count, -size))
    found = writer.scratch(f"{name}/leaves", (count, classes), name)
    table = writer.constant(node.inputs[3], leaves.shape, axis=None)
    _gather(writer, table, _add(writer, place, offset, f"{name}/leaf", count), found, axis=0)
    writer.reshape(found, writer.plain(name))


def _gather(writer: Writer, source: int, places: int, target: int, axis: int) -> None:
    options = schema.GatherOptionsT()
    options.axis = axis
    writer.operator(_CODE.GATHER, [source, places], [target], (_KIND.GatherOptions, options))


def _cast(writer: Writer, source: int, name: str, shape: Shape, dtype: str) -> int:
    target = writer.steering(name, shape, dtype)
    options = schema.CastOptionsT()
    writer.operator(_CODE.CAST, [source], [target], (_KIND.CastOptions, options))
    return target


def _add(writer: Writer, a: int, b: int, name: str, count: int) -> int:
    target = writer.steering(name, (count,), "int32")
    writer.operator(_CODE.ADD, [a, b], [target], (_KIND.AddOptions, schema.AddOptionsT()))
    return target
