"""Changed files: bytes that are changed, cut, spliced and inserted, and values of the tree that a file parses to."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from targets import Target

INTERESTING = (0, 1, 2, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
WORDS = (
    b"nan", b"inf", b"-1", b"0", b"1e308", b"-1e999", b"9" * 400, b"null", b"true", b"[]", b"{}", b'""', b"../../x",
    b"/etc/x", b"\xff\xfe", b"\0", b"\n", b'"', b",", b";", b"\t", b"[" * 200, b"{" * 200, b"0x10", b"1_000", b"1,5",
)  # fmt: skip
VALUES = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf")),
    *("", "x" * 5000, "../x", [], {}, [[]]),
)


def mutated(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Return the input with one to four changes of its bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        kind = rng.random()
        if kind < 0.2 and changed:
            changed[at % len(changed)] ^= 1 << rng.randrange(8)
        elif kind < 0.4:
            changed[at : at + rng.randint(0, 8)] = rng.choice(WORDS)
        elif kind < 0.55:
            changed[at : at + 4] = rng.choice(INTERESTING).to_bytes(4, rng.choice(("little", "big")))
        elif kind < 0.65:
            del changed[at : at + rng.randint(1, 200)]
        elif kind < 0.75:
            del changed[at:]
        elif kind < 0.9:
            start, length = rng.randrange(len(other)), rng.randint(1, 300)
            changed[at : at + rng.choice((0, length))] = other[start : start + length]
        else:
            changed[at:at] = rng.randbytes(rng.randint(1, 16))
    return bytes(changed)


def mutated_tree(rng: random.Random, tree: Any) -> Any:
    """Return plain data with one or two values changed, taken away, or put elsewhere."""
    changed = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2))):
        places = list(_places(changed, 400))
        if not places:
            return rng.choice(VALUES)
        container, key = rng.choice(places)
        kind = rng.random()
        value = container[key]
        if kind < 0.5:
            container[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind < 0.6:
            del container[key]
        elif kind < 0.8:
            other, elsewhere = rng.choice(places)
            container[key] = copy.deepcopy(other[elsewhere]) if elsewhere in _keys(other) else None
        elif isinstance(value, str):
            container[key] = mutated(rng, value.encode("utf-8", "replace"), b"other").decode("latin-1")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            container[key] = value * rng.choice((-1, 2, 1000, 0.5)) + rng.choice((0, 1, -1))
        elif isinstance(value, list):
            container[key] = value * rng.choice((0, 2, 50))
    return changed


def _keys(container: Any) -> Any:
    return container if isinstance(container, dict) else range(len(container))


def _places(tree: Any, most: int) -> Iterator[tuple[Any, Any]]:
    """Every container and key, at most so many of each list."""
    if isinstance(tree, dict):
        items = list(tree.items())
    elif isinstance(tree, list):
        items = list(enumerate(tree))[:most]
    else:
        return
    for key, value in items:
        yield tree, key
        yield from _places(value, 8)


def mutation(rng: random.Random, target: Target, seeds: list[bytes]) -> bytes:
    """Return a new input."""
    data = rng.choice(seeds)
    if target.tree is not None and rng.random() < 0.6:
        read, write = target.tree
        try:
            return write(mutated_tree(rng, read(data)))
        except (ValueError, TypeError, OverflowError, RecursionError, AttributeError):
            pass  # the tree cannot be written any more
    return mutated(rng, data, rng.choice(seeds))
