"""Confusion matrices of baseline and device, as tables: rows are the truth, colour is the share of the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from device_sim.report.figures import count, mapping, numbers, percent
from device_sim.report.markup import empty, scroller, section, text
from device_sim.report.palette import Activity
from device_sim.report.verdict import NO_BASELINE

# Upper ends of the shares that get one colour step each. Fine at the low end: the errors of a good model are a few
# percent of a row and would vanish on a linear scale.
STEPS = (0.0, 0.01, 0.03, 0.06, 0.12, 0.25, 0.5, 0.75, 0.9)

SIDE_BY_SIDE = 8  # with more classes two matrices do not fit beside each other on a laptop

Matrix = list[list[float]]


def section_html(summary: Mapping[str, Any], shown: Sequence[Activity]) -> str:
    """Return both matrices side by side, or what is missing."""
    confusion = mapping(summary.get("confusion"))
    title = "Which activities are taken for which"
    device = matrix(confusion.get("device"), len(shown))
    if device is None:
        why = "There is no confusion matrix: no window of these recordings has a known activity."
        return section("confusion", title, "", empty(why))
    baseline = matrix(confusion.get("baseline"), len(shown))
    left = _table("Full-precision baseline", baseline, shown) if baseline else _none()
    arrangement = "pair" if len(shown) <= SIDE_BY_SIDE else "stack"
    body = f'<div class="{arrangement}">{left}{_table("Device", device, shown)}</div>\n{_scale()}'
    lead = "Each row is one true activity; its cells say what the windows were decided to be."
    return section("confusion", title, lead, body)


def matrix(rows: Any, classes: int) -> Matrix | None:
    """Return a ``[K, K]`` matrix of counts, or None if ``rows`` is anything else or all zero."""
    if not isinstance(rows, list | tuple) or len(rows) != classes:
        return None
    parsed = [numbers(row) for row in rows]
    if any(len(row) != classes for row in parsed) or not any(map(any, parsed)):
        return None
    return parsed


def level(share: float) -> int:
    """Return the colour step of a share 0..1: 0 for none, up to 9."""
    return sum(share > step for step in STEPS)


def _none() -> str:
    return f'<div class="matrix"><h3>Full-precision baseline</h3>{empty(f"No matrix: {NO_BASELINE}.")}</div>'


def _table(title: str, rows: Matrix, shown: Sequence[Activity]) -> str:
    head = "".join(
        f'<th scope="col"><abbr title="{text(a.name)}"><i class="s{i}"></i>{text(a.code)}</abbr></th>'
        for i, a in enumerate(shown)
    )
    body = "\n".join(_row(index, row, shown) for index, row in enumerate(rows))
    caption = f"{title}: windows by true (row) and decided (column) activity"
    return (
        f'<div class="matrix"><h3>{text(title)}</h3>'
        + scroller(
            f'<table class="confusion"><caption class="sr">{text(caption)}</caption><thead><tr>'
            f'<th scope="col">Truth</th>{head}<th scope="col" class="n">Right</th></tr></thead>\n'
            f"<tbody>\n{body}\n</tbody></table>",
            caption,
        )
        + "</div>"
    )


def _row(index: int, row: list[float], shown: Sequence[Activity]) -> str:
    total = sum(row)
    cells = []
    for column, value in enumerate(row):
        share = value / total if total > 0 else 0.0
        kind = "hit" if column == index else "miss"
        words = f"{shown[index].name} decided as {shown[column].name}: {count(value)}, {percent(share)} of the row"
        figure = count(value) if value else "·"
        cells.append(f'<td class="{kind} q{level(share)}" title="{text(words)}">{figure}</td>')
    right = percent(row[index] / total) if total > 0 else "–"
    name = f'<i class="s{index}"></i>'
    name += f'<span class="long">{text(shown[index].name)}</span><span class="short">{text(shown[index].code)}</span>'
    return f'<tr><th scope="row">{name}</th>{"".join(cells)}<td class="n">{right}</td></tr>'


def _scale() -> str:
    ends = ["0", *(f"≤ {100 * step:g} %" for step in STEPS[1:]), f"> {100 * STEPS[-1]:g} %"]
    swatches = "".join(
        f'<li><i class="hit q{step}"></i><i class="miss q{step}"></i>{end}</li>' for step, end in enumerate(ends)
    )
    return f'<ul class="scale" aria-label="Share of the row, right and wrong"><li>Right / wrong:</li>{swatches}</ul>'
