"""The session in a terminal: a picture that is drawn over itself, or one line an event where nobody watches."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

DRAWS_HZ = 8.0
BARS = " ▁▂▃▄▅▆▇█"
HOME, CLEAR_LINE, CLEAR_BELOW, HIDE_CURSOR, SHOW_CURSOR = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[?25l", "\x1b[?25h"
CLEAR = "\x1b[2J"


class Terminal:
    """Shows views of a session.

    Args:
        stream: where to; a terminal gets the picture, anything else a line for each event.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._draws = stream.isatty()
        self._next = 0.0
        self._listed = 0
        if self._draws:
            stream.write(CLEAR + HIDE_CURSOR)

    def due(self) -> bool:
        """Return whether it is time for another picture."""
        return time.monotonic() >= self._next

    def show(self, view: Mapping[str, Any]) -> None:
        """Draw the picture, or print the events that are new."""
        self._next = time.monotonic() + 1 / DRAWS_HZ
        if self._draws:
            columns = shutil.get_terminal_size().columns
            lines = [line[:columns] + CLEAR_LINE for line in picture(view, columns)]
            self._stream.write(HOME + "\n".join(lines) + "\n" + CLEAR_BELOW)
        else:
            self._list_events(view)
        self._stream.flush()

    def close(self, view: Mapping[str, Any]) -> None:
        """Show the last view, and give the cursor back."""
        self.show(view)
        if self._draws:
            self._stream.write(SHOW_CURSOR)
        else:
            self._stream.write("\n".join(totals(view)) + "\n")
        self._stream.flush()

    def _list_events(self, view: Mapping[str, Any]) -> None:
        new = view["counts"]["events"] - self._listed
        for label, start_s, end_s in view["events"][-new:] if new else []:
            self._stream.write(f"{start_s:10.2f} s  {end_s:10.2f} s  {label}\n")
        self._listed += new


def picture(view: Mapping[str, Any], columns: int) -> list[str]:
    """Return the lines of the picture, at most ``columns`` wide where that can be."""
    wide = max((len(label) for label in view["labels"]), default=0)
    room = max(10, min(50, columns - wide - 16))
    now = view["activity"] or "waiting for the first decision"
    since = "" if view["since_s"] is None else f"  for {view['time_s'] - view['since_s']:.0f} s"
    lines = [
        f"{view['bundle']} on {view['engine']}, from {view['source']}" + ("  (ended)" if view["ended"] else ""),
        "",
        f"  {now}{since}",
        "",
    ]
    for label, probability in zip(view["labels"], view["probabilities"], strict=False):
        bar = "█" * round(probability * room)
        lines.append(f"  {label:{wide}}  {100 * probability:5.1f} %  {bar}")
    lines.append("")
    names = max((len(name) for name in view["channels"]), default=0)
    for name, values in zip(view["channels"], view["wave"], strict=False):
        lines.append(f"  {name:{names}}  {sparkline(values, room + wide - names + 10)}")
    lines += ["", "  last events"]
    lines += [
        f"  {start_s:8.1f} s  {end_s - start_s:7.1f} s long  {label}" for label, start_s, end_s in view["events"][-5:]
    ]
    return [*lines, "", *totals(view)]


def totals(view: Mapping[str, Any]) -> list[str]:
    """Return latencies and counts as lines."""
    lines = []
    for stage, row in view["latency_us"].items():
        if row["count"]:
            lines.append(f"  {stage:10} p50 {row['p50']:9.1f} µs   p99 {row['p99']:9.1f} µs   max {row['max']:9.1f} µs")
    counts = view["counts"]
    said = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in counts if counts[name] or name == "samples"]
    lines.append(f"  {', '.join(said)}, {view['deadline_misses']} deadline misses")
    if view["trouble"]:
        lines.append(f"  last bad line: {view['trouble']}")
    return lines


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the newest ``width`` values as bars between their own least and greatest."""
    shown = list(values)[-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    span = high - low or 1.0
    return "".join(BARS[1 + min(7, int(8 * (value - low) / span))] for value in shown)
