"""Padding: the layer's input copied into scratch with one value around it, or only what one position sees of it."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_export.graph import Shape
from firmware_export.ops.window1d import Padding
from firmware_export.ops.window2d import NO_PADDING, Padding2d
from firmware_export.targets.c.layer import Scratch


@dataclass(frozen=True)
class Seen:
    """Steps that a position sees, or rows of an image.

    Attributes:
        rows: C expression of a pointer to the first of them.
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


def band(
    shape: Shape, padding: Padding2d, kernel_rows: int, *, stride: int, dilation: int = 1, value: int
) -> tuple[Seen, int]:
    """Return what row ``r`` of the output sees of an image ``[1, H, W, C]``, and bytes from such a row to the next.

    Args:
        shape: of the input.
        padding: above and below, left and right.
        kernel_rows: how many are seen.
        stride: rows of the input from one row of the output to the next.
        dilation: rows of the input from one seen to the next.
        value: what padding holds.
    """
    _, height, columns, channels = shape
    width = columns * channels
    if padding == NO_PADDING:
        return Seen(f"x + {width * stride} * r"), width * dilation
    (above, _), (left, right) = padding
    whole = (left + columns + right) * channels
    call = (
        f"har_band(x, rows, {stride} * r - {above}, {dilation}, {kernel_rows}, {height}, {width}, {left * channels}, "
        f"{right * channels}, {value})"
    )
    return Seen(call, Scratch("rows", kernel_rows * whole, 8), ("har_window.h",)), whole
