"""Padding: the layer's input copied into scratch with one value around it, or only what one position sees of it."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_export.graph import Shape
from firmware_export.ops.window1d import Padding
from firmware_export.ops.window2d import NO_PADDING, Padding2d
from firmware_export.targets.c.layer import Scratch, code


@dataclass(frozen=True)
class Seen:
    """Steps that a position sees.

    Attributes:
        rows: C expression of a pointer to the first of them; they lie behind each other.
        scratch: where they are put together if some are padding.
        headers: that the expression needs.
    """

    rows: str
    scratch: Scratch | None = None
    headers: tuple[str, ...] = ()


def seen(shape: Shape, padding: Padding, first: str, count: int, value: int) -> Seen:
    """Return what a position sees of an input ``[1, T, C]``.

    Args:
        shape: of the input.
        padding: steps before and after.
        first: C expression of the first step, counted from where the padding begins.
        count: of steps.
        value: what padding holds: the zero point, or the smallest int8 where the largest counts.
    """
    _, steps, channels = shape
    if padding == (0, 0):
        return Seen(f"x + {channels} * ({first})")
    call = f"har_window(x, rows, {first} - {padding[0]}, {count}, {steps}, {channels}, {value})"
    return Seen(call, Scratch("rows", count * channels, 8), ("har_window.h",))


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


def padded_image(shape: Shape, padding: Padding2d, value: int) -> tuple[str, str, Scratch | None]:
    """Return the same of an image ``[1, H, W, C]`` padded above and below, left and right."""
    if padding == NO_PADDING:
        return "x", "", None
    _, rows, columns, channels = shape
    (above, below), (left, right) = padding
    width = (left + columns + right) * channels
    size = (above + rows + below) * width
    fill = code(
        """
        memset(padded, @value@, @size@);
        for (int r = 0; r < @rows@; r++) {
            memcpy(padded + @width@ * r + @begin@, x + @row@ * r, @row@);
        }
        """,
        value=value,
        size=size,
        rows=rows,
        width=width,
        begin=above * width + left * channels,
        row=columns * channels,
    )
    return "padded", f"{fill}\n", Scratch("padded", size, 8)
