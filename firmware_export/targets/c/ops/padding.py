"""Padding in time: the layer's input copied into scratch between steps of one value."""

from __future__ import annotations

from firmware_export.graph import Shape
from firmware_export.ops.window1d import Padding
from firmware_export.targets.c.layer import Scratch


def padded(shape: Shape, padding: Padding, value: int) -> tuple[str, str, Scratch | None]:
    """Return the name of the padded input ``[T + padding, C]``, the statements that make it, and its memory.

    Without padding that is ``x`` itself and nothing.

    Args:
        shape: of the input, ``[1, T, C]``.
        padding: steps before and after.
        value: what they hold: the zero point, or the smallest int8 where the largest counts.
    """
    if padding == (0, 0):
        return "x", "", None
    _, steps, channels = shape
    before, after = padding
    begin, end = before * channels, (before + steps) * channels
    lines = [f"memcpy(padded + {begin}, x, {end - begin});"]
    if before:
        lines.append(f"memset(padded, {value}, {begin});")
    if after:
        lines.append(f"memset(padded + {end}, {value}, {after * channels});")
    fill = "".join(f"{line}\n" for line in lines)
    return "padded", fill, Scratch("padded", (before + steps + after) * channels, 8)
