"""Where every activation lies: one arena, in which tensors that live at different times share bytes.

Rules:
1. A graph input or output is the caller's memory.
2. ``reshape`` and ``crop1d`` move nothing: their output is a view, unless the caller wants it or it has to be copied
   out.
3. An elementwise op writes over an input that nobody reads later.
4. What stays from run to run lies at the arena's start and shares its bytes with nothing.
5. What is left is placed greedily, the largest first, at the lowest place that is free for as long as it lives.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from firmware_export.graph import Graph, Node
from firmware_export.ops.crop1d import Crop1d

ALIGNMENT = 8  # bytes: a pair of words is loaded at once
IN_PLACE = ("add", "add_constant", "relu")


@dataclass(frozen=True)
class Place:
    """``offset`` bytes into ``base``: a graph input, a graph output, or the arena (None)."""

    base: str | None
    offset: int


@dataclass(frozen=True)
class MemoryPlan:
    """Places of all int8 activations by name, of each node's scratch by its output, and the arena's size.

    ``kept_bytes`` at its start stay from run to run.
    """

    places: Mapping[str, Place]
    scratch: Mapping[str, int]
    arena_bytes: int
    kept_bytes: int


@dataclass
class _Block:
    name: str
    size: int
    first: int
    last: int
    offset: int = -1


def plan_memory(graph: Graph, scratch_bytes: Mapping[str, int], kept: Mapping[str, int]) -> MemoryPlan:
    """Return where activations lie.

    Args:
        graph: quantized to int8.
        scratch_bytes: what each node needs while it runs, by the name of its output; others need nothing.
        kept: columns that stay before those of an activation ``[1, T, C]``, by name; others begin anew with every run.
    """
    roots: dict[str, Place] = {name: Place(name, 0) for name in graph.inputs}
    blocks: dict[str, _Block] = {}
    stays: dict[str, _Block] = {}
    for index, node in enumerate(graph.nodes):
        for name in node.inputs:
            place = roots.get(name)
            if place is not None and place.base in blocks:
                blocks[place.base].last = index
        size = int(np.prod(graph.values[node.output].shape))
        if node.output in kept:
            before = kept[node.output] * graph.values[node.output].shape[2]
            roots[node.output] = Place(node.output, before)
            stays[node.output] = _Block(node.output, before + size, 0, len(graph.nodes))
            continue
        roots[node.output] = _root(graph, node, index, roots, stays)
        if roots[node.output] == Place(node.output, 0) and node.output not in graph.outputs:
            blocks[node.output] = _Block(node.output, size, index, index)
    temporary = [
        _Block(node.output, scratch_bytes[node.output], index, index)
        for index, node in enumerate(graph.nodes)
        if scratch_bytes.get(node.output)
    ]
    kept_bytes = _place(list(stays.values()), 0)
    arena_bytes = _place([*blocks.values(), *temporary], kept_bytes)
    offsets = {block.name: block.offset for block in (*blocks.values(), *stays.values())}
    places = {
        name: Place(None, offsets[root.base] + root.offset) if root.base in offsets else root
        for name, root in roots.items()
    }
    return MemoryPlan(places, {block.name: block.offset for block in temporary}, arena_bytes, kept_bytes)


def is_view(graph: Graph, node: Node) -> bool:
    """Return whether a node's output lies inside its input (rule 2)."""
    return node.op in ("reshape", "crop1d") and node.output not in graph.outputs


def _root(graph: Graph, node: Node, index: int, roots: Mapping[str, Place], stays: Collection[str]) -> Place:
    own = Place(node.output, 0)
    if node.output in graph.outputs:
        return own
    source = roots.get(node.inputs[0], own)
    if is_view(graph, node):
        skipped = 0
        if isinstance(node.attrs, Crop1d):
            skipped = node.attrs.start * graph.values[node.inputs[0]].shape[2]
        return Place(source.base, source.offset + skipped)
    if node.op in IN_PLACE and source.offset == 0 and source.base not in (*graph.inputs, *graph.outputs, *stays):
        later = [name for reader in graph.nodes[index + 1 :] for name in reader.inputs]
        others = node.inputs[1:]
        if not any(name in roots and roots[name].base == source.base for name in (*later, *others)):
            return source
    return own


def _place(blocks: Sequence[_Block], begin: int) -> int:
    """Set each block's offset, at ``begin`` or behind it; return where the last one ends."""
    placed: list[_Block] = []
    for block in sorted(blocks, key=lambda b: (-b.size, b.first, b.name)):
        beside = sorted(
            (b for b in placed if b.first <= block.last and block.first <= b.last), key=lambda other: other.offset
        )
        offset = begin
        for other in beside:
            if offset + block.size <= other.offset:
                break
            offset = max(offset, _aligned(other.offset + other.size))
        block.offset = offset
        placed.append(block)
    return _aligned(max((block.offset + block.size for block in placed), default=begin))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
